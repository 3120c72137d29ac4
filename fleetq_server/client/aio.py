"""The asyncio client."""

import types
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self

import grpc

from fleetq_server.client.claims import ClaimCalls
from fleetq_server.client.credentials import Tls
from fleetq_server.client.fleet import FleetCalls
from fleetq_server.client.link import Link
from fleetq_server.client.steps import StepCalls

if TYPE_CHECKING:
    from fleetq_server.client.run import Function
    from fleetq_server.client.worker import Worker

DEFAULT_TIMEOUT = 10.0


class AsyncClient(StepCalls, ClaimCalls, FleetCalls):
    """Talks to a fleet, whichever pods of it are there.

    Every call has a deadline. It is repeated, with the same request id, only while pods are
    Unavailable (at another one, if several are known) and, where that is harmless to wait for,
    Overloaded; whatever else went wrong is raised at once, as one of fleetq_server.errors.
    After Unavailable and DeadlineExceeded it is not known whether the call took effect.

    Belongs to the event loop it is first used on. Use it as an async context manager, or close it.

    Args:
        addresses: "host:port", several of them with commas between, or an iterable of such.
        timeout: Seconds a call may take, repeats included; longer for calls that wait.
        patience: Seconds for which pods may be Unavailable before that is raised; unless given,
            as long as the call may take.
        credentials: For pods that serve TLS, if Tls cannot say what you need.
        tls: For pods that serve TLS.
        token: For pods that want one, or the file it is in, which is read again on change.
        allow_insecure: Sends a token also to other hosts without TLS.

    Raises:
        InvalidArgument: An address is not host:port.
        ConfigError: A file cannot be read, or a token would travel in the clear.
    """

    def __init__(
        self,
        addresses: str | Iterable[str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        patience: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        tls: Tls | None = None,
        token: str | Path | None = None,
        allow_insecure: bool = False,
    ) -> None:
        super().__init__(
            Link(
                addresses,
                timeout=timeout,
                patience=patience,
                credentials=credentials,
                tls=tls,
                token=token,
                allow_insecure=allow_insecure,
            )
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        return self._link.addresses

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections; calls that wait get ClientClosed, an Unavailable."""
        await self._submits.close()
        await self._link.close()

    def worker(
        self,
        handlers: "Mapping[str, Function]",
        *,
        parallelism: int = 10,
        queues: Iterable[str] = (),
        name: str = "",
        grace: float = 10.0,
    ) -> "Worker":
        """A worker that claims steps of these kinds and runs them here; see Worker.

        Args:
            handlers: By kind; each takes a fleetq_server.core.context.Context, as a pod's
                handlers do, and is async or plain (run in a thread).
            parallelism: How many steps run at once.
            queues: Only these; all if empty.
            name: For people to read.
            grace: Seconds that running handlers may go on when the worker drains.
        """
        # Loaded on use: it needs the core, and most clients only submit.
        worker: Worker = import_module("fleetq_server.client.worker").Worker(
            self, handlers, parallelism=parallelism, queues=queues, name=name, grace=grace
        )
        return worker
