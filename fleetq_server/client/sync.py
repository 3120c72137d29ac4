"""The synchronous client: each method runs AsyncClient's on the event loop of the process."""

import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from enum import Enum, auto
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from fleetq_server.client.aio import DEFAULT_TIMEOUT, AsyncClient
from fleetq_server.client.credentials import Tls
from fleetq_server.client.loop import LoopShare, LoopThread
from fleetq_server.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class _End(Enum):
    """StopAsyncIteration cannot pass through a task."""

    END = auto()


async def _next(items: AsyncGenerator[T, None]) -> T | _End:
    return await anext(items, _End.END)


async def _close(items: AsyncGenerator[T, None]) -> None:
    await items.aclose()


def _calls(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    def face(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        # By its name: `aio` may be of a class that does more.
        call: Callable[P, Coroutine[Any, Any, T]] = getattr(self.aio, method.__name__)
        return self.run(call(*args, **kwargs))

    update_wrapper(face, method)
    return face


def _iterates(
    method: Callable[Concatenate[AsyncClient, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate["Client", P], Iterator[T]]:
    def face(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        call: Callable[P, AsyncGenerator[T, None]] = getattr(self.aio, method.__name__)
        return self.iterate(call(*args, **kwargs))

    update_wrapper(face, method)
    return face


class Client:
    """AsyncClient for code without an event loop: the same arguments, results and errors.

    May be used by any number of threads; their submits travel together. Use it as a context
    manager, or close it. A process that was forked needs a new one. See AsyncClient for the
    arguments.
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
        self.aio = AsyncClient(
            addresses,
            timeout=timeout,
            patience=patience,
            credentials=credentials,
            tls=tls,
            token=token,
            allow_insecure=allow_insecure,
        )
        self._thread: LoopThread | LoopShare = LoopShare()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.aio.addresses

    def close(self) -> None:
        """Closes the connections; calls that wait in other threads get ClientClosed, an
        Unavailable."""
        try:
            self.run(self.aio.close())
        except Unavailable:
            return  # closed already
        self._thread.stop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the clients' loop, for whatever has no method here."""
        return self._thread.run(coroutine)

    def iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """The items, fetched one by one on the clients' loop."""
        try:
            while not isinstance(item := self.run(_next(items)), _End):
                yield item
        finally:
            with suppress(Unavailable):  # a client that is closed has ended it already
                self.run(_close(items))

    submit = _calls(AsyncClient.submit)
    submit_one = _calls(AsyncClient.submit_one)
    submit_steps = _calls(AsyncClient.submit_steps)
    get = _calls(AsyncClient.get)
    cancel = _calls(AsyncClient.cancel)
    wait = _calls(AsyncClient.wait)
    wait_steps = _calls(AsyncClient.wait_steps)
    as_ended = _iterates(AsyncClient.as_ended)
    list = _iterates(AsyncClient.list)

    claim_steps = _calls(AsyncClient.claim_steps)
    complete_steps = _calls(AsyncClient.complete_steps)
    fail_steps = _calls(AsyncClient.fail_steps)
    release_steps = _calls(AsyncClient.release_steps)
    beat = _calls(AsyncClient.beat)

    pods = _calls(AsyncClient.pods)
    leader = _calls(AsyncClient.leader)
    drain = _calls(AsyncClient.drain)
    stats = _calls(AsyncClient.stats)
    pause = _calls(AsyncClient.pause)
    resume = _calls(AsyncClient.resume)
    dead = _iterates(AsyncClient.dead)
    redrive = _calls(AsyncClient.redrive)
    purge = _calls(AsyncClient.purge)
    events = _iterates(AsyncClient.events)
