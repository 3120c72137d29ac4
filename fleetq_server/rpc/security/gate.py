"""The interceptor in front of a pod that asks for tokens: who calls, may they, and how often.

It stands inside CallGuard, which makes a status of what it raises, and before the message is read.
The principal goes along in a context variable: a call of grpc.aio is one task from here to its end.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import grpc.aio

from fleetq_server.errors import ConfigError, Unauthorized
from fleetq_server.rpc.security.allowance import Allowance
from fleetq_server.rpc.security.rights import OPEN, check_right
from fleetq_server.rpc.security.tokens import LONGEST_TOKEN, Entry, Principal, find, read_entries
from fleetq_server.rpc.security.watched import Watched, read_file

if TYPE_CHECKING:  # generic in the type stubs only
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _Interceptor = grpc.aio.ServerInterceptor

_Handler: TypeAlias = Any  # the type stubs know those of the threaded server only

KEY = "authorization"
SCHEME = "bearer "
LONG_POLLS = frozenset(
    {
        "/fleetq.v1.StepService/WaitSteps",
        "/fleetq.v1.ClaimService/ClaimSteps",
        "/fleetq.v1.FleetService/WatchEvents",
    }
)

current_principal: ContextVar[Principal] = ContextVar("current_principal")


class TokenGate(_Interceptor):
    """Lets in whoever shows a token of the file."""

    def __init__(self, file: Path, allowance: Allowance) -> None:
        """Raises: ConfigError naming the file and line."""
        self._entries: Watched[tuple[Entry, ...]] = Watched((file,), lambda: _read(file))
        self._allowance = allowance

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        method = handler_call_details.method
        if method.startswith(OPEN):
            return await continuation(handler_call_details)
        principal = self.principal(dict(handler_call_details.invocation_metadata or ()))
        self._allowance.spend(principal.name)
        check_right(principal, method)
        current_principal.set(principal)
        handler = await continuation(handler_call_details)
        return self._held(handler, principal.name) if method in LONG_POLLS else handler

    def principal(self, metadata: "Mapping[str, str | bytes]") -> Principal:
        """Who shows these. Raises: Unauthorized."""
        shown = metadata.get(KEY, "")
        if not isinstance(shown, str) or not shown[: len(SCHEME)].lower() == SCHEME:
            raise Unauthorized("this pod wants a token: send the metadata authorization: Bearer …")
        token = shown[len(SCHEME) :].strip()
        found = find(self._entries.value, token) if len(token) <= LONGEST_TOKEN else None
        if found is None:
            raise Unauthorized("this token does not count here, or no longer")
        return found

    def _held(self, handler: _Handler, name: str) -> _Handler:
        if handler is None:
            return None
        coders = handler.request_deserializer, handler.response_serializer
        if handler.unary_stream:

            async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
                with self._allowance.hold(name):
                    async with aclosing(handler.unary_stream(request, context)) as answers:
                        async for answer in answers:
                            yield answer

            return grpc.unary_stream_rpc_method_handler(stream, *coders)

        async def call(request: Any, context: Any) -> Any:
            with self._allowance.hold(name):
                return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(call, *coders)


def _read(file: Path) -> tuple[Entry, ...]:
    try:
        return read_entries(read_file(file).decode(), f"file {file}")
    except UnicodeDecodeError:
        raise ConfigError(f"file {file}: is not text") from None
