"""What surrounds every call: parsing, status of errors, log line, and refusal while draining.

One interceptor, because each costs every call a wrapper. It takes the request as bytes and
parses it itself: a request that grpc.aio cannot parse would be answered with UNKNOWN.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from fleetq_server.errors import Draining, InvalidArgument, Unavailable
from fleetq_server.rpc import status
from fleetq_server.telemetry import get_logger

if TYPE_CHECKING:  # generic in the type stubs only
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _Interceptor = grpc.aio.ServerInterceptor

_Context = grpc.aio.ServicerContext[Any, Any]
# The type stubs know those of the threaded server only.
_Handler: TypeAlias = Any
_Function: TypeAlias = Any

PREFIX = "/fleetq.v1."
WAITS = frozenset({f"{PREFIX}StepService/WaitSteps", f"{PREFIX}FleetService/WatchEvents"})

# A draining pod takes in nothing new, yet hears of the work it has given out until it ends.
REFUSED_WHEN_DRAINING = WAITS | {f"{PREFIX}StepService/SubmitSteps"}

_DRAINING = "this pod is shutting down; ask another"

_log = get_logger()
_levels = logging.getLogger(__name__)


class CallGuard(_Interceptor):
    """Stands around every call of FLEET-Q's own services."""

    def __init__(self, *, innermost: bool = False) -> None:
        """`innermost`: no other interceptor stands behind it that might answer each call
        differently, so what to do with a method need be found out only once."""
        self._known: dict[str, _Handler] | None = {} if innermost else None
        self._draining = self._closed = False
        self._waits: set[asyncio.Task[Any]] = set()
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def drain(self) -> None:
        """From now on refuses what a draining pod must not begin, and ends what only waits."""
        waits = set() if self._draining else self._waits
        self._draining = True
        for task in waits:
            task.cancel()

    async def close(self, grace: float) -> None:
        """Refuses every new call; returns when those that run have ended, or after `grace`."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        method = handler_call_details.method
        if self._known is not None and method in self._known:
            return self._known[method]
        try:
            handler = await continuation(handler_call_details)
        except Exception as error:  # an inner interceptor's
            return grpc.unary_unary_rpc_method_handler(self._refusing(method, error))
        if handler is None or not method.startswith(PREFIX):
            return handler
        guarded = (
            grpc.unary_stream_rpc_method_handler(self._stream(method, handler))
            if handler.unary_stream
            else grpc.unary_unary_rpc_method_handler(self._unary(method, handler))
        )
        if self._known is not None:
            self._known[method] = guarded
        return guarded

    def _refusing(self, method: str, error: Exception) -> _Function:
        async def call(_raw: bytes, context: _Context) -> bytes:
            await self._refuse(error, method, time.perf_counter(), context)

        return call

    def _unary(self, method: str, handler: _Handler) -> _Function:
        async def call(raw: bytes, context: _Context) -> bytes:
            started = time.perf_counter()
            try:
                with self._admitted(method):
                    answer = await handler.unary_unary(_parse(handler, raw), context)
                data = _serialize(handler, answer)
            except (Exception, asyncio.CancelledError) as error:
                await self._refuse(error, method, started, context)
            _done(method, started, grpc.StatusCode.OK)
            return data

        return call

    def _stream(self, method: str, handler: _Handler) -> _Function:
        async def call(raw: bytes, context: _Context) -> AsyncIterator[bytes]:
            started = time.perf_counter()
            try:
                with self._admitted(method):
                    answers = handler.unary_stream(_parse(handler, raw), context)
                    async with aclosing(answers):
                        async for answer in answers:
                            yield _serialize(handler, answer)
            except (Exception, asyncio.CancelledError) as error:
                await self._refuse(error, method, started, context)
            _done(method, started, grpc.StatusCode.OK)

        return call

    @contextmanager
    def _admitted(self, method: str) -> Iterator[None]:
        if self._closed or (self._draining and method in REFUSED_WHEN_DRAINING):
            raise Draining(_DRAINING)
        task = asyncio.current_task() if method in WAITS else None
        if task:
            self._waits.add(task)
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
            if task:
                self._waits.discard(task)

    async def _refuse(
        self, error: BaseException, method: str, started: float, context: _Context
    ) -> NoReturn:
        if isinstance(error, grpc.aio.AbortError):  # some inner interceptor has answered already
            raise error
        if isinstance(error, asyncio.CancelledError):
            error = self._interruption(error, method)
        log_id = "" if status.known(error) else secrets.token_hex(8)
        if log_id:
            _log.error("rpc failed", method=method, log_id=log_id, exc_info=error)
        code, answer = status.code_of(error), status.status_of(error, log_id)
        _done(method, started, code)
        await context.abort(code, answer.message, status.trailers(answer))
        raise error  # not reached: abort raises

    def _interruption(self, error: asyncio.CancelledError, method: str) -> Unavailable:
        """What to tell the caller. Raises `error` if nobody listens any more."""
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            # Something inside was cancelled, not this call; unanswered, the caller would wait
            # until its deadline.
            return Unavailable("the call was interrupted")
        if self._draining and method in WAITS and task.uncancel() == 0:
            return Draining(_DRAINING)
        raise error


def _parse(handler: _Handler, raw: bytes) -> Any:
    parse = handler.request_deserializer  # None in a handler that some inner interceptor put here
    try:
        return parse(raw) if parse else raw
    except DecodeError:
        raise InvalidArgument("request", "is not a message of this rpc") from None


def _serialize(handler: _Handler, answer: Any) -> bytes:
    serialize = handler.response_serializer
    data: bytes = serialize(answer) if serialize else answer
    return data


def _done(method: str, started: float, code: grpc.StatusCode) -> None:
    # Asking first: a line that nobody wants costs 6 µs.
    if _levels.isEnabledFor(logging.DEBUG):
        took = (time.perf_counter() - started) * 1000
        _log.debug("rpc", method=method, code=code.name, ms=round(took, 3))
