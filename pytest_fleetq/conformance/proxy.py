"""Stands between one worker and the fleet: sees every call, and meddles as a trial asks.

It forwards messages, not bytes of a connection, because losing exactly one answer, or holding
back exactly the heartbeats, is what the rules are about.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from pytest_fleetq.conformance.traffic import Call, Traffic, known, parse_answer, parse_request

if TYPE_CHECKING:  # generic in the type stubs only
    _Handlers = grpc.GenericRpcHandler[Any, Any]
else:
    _Handlers = grpc.GenericRpcHandler

Forward = Callable[[], Awaitable[bytes]]
Meddling = Callable[[Call, Forward], Awaitable[bytes]]
DETAILS = "grpc-status-details-bin"
LONG = 1e6  # seconds; gRPC's word for no deadline is beyond it
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]


class Refusal(Exception):
    """Answers a call with this status instead of the fleet's answer."""

    def __init__(self, code: grpc.StatusCode, retry_after: float | None = None) -> None:
        super().__init__(f"refused by fleetq conformance: {code.name}")
        self.code = code
        self.retry_after = retry_after


async def pass_on(_call: Call, forward: Forward) -> bytes:
    """Meddles with nothing."""
    return await forward()


class Proxy:
    """Claims through it are for one queue only, so that trials side by side share no steps."""

    def __init__(self, address: str, queue: str, traffic: Traffic) -> None:
        self.meddle: Meddling = pass_on
        self._queue = queue
        self._traffic = traffic
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self._server = grpc.aio.server(options=OPTIONS)
        self._server.add_generic_rpc_handlers((_Every(self._handler),))
        self._forwards: set[asyncio.Task[bytes]] = set()
        self.address = ""

    async def start(self) -> None:
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)
        await self._channel.close(None)

    def cut(self) -> None:
        """Nothing goes through any more, nor comes back."""
        self.meddle = _refuse
        for forward in self._forwards:
            forward.cancel()

    def _handler(self, path: str) -> Any:
        # Not known: health checks, say. They go through unseen.
        function = self._seen(path) if known(path) else self._unseen(path)
        return grpc.unary_unary_rpc_method_handler(function)

    def _unseen(self, path: str) -> Any:
        async def call(data: bytes, context: Any) -> bytes:
            try:
                return await self._forward(path, data, context, context.time_remaining())
            except grpc.aio.AioRpcError as error:
                await _abort(context, error)

        return call

    def _seen(self, path: str) -> Any:
        async def call(data: bytes, context: Any) -> bytes:
            seen = Call(path, parse_request(path, data), _limit(context))
            self._traffic.calls.append(seen)
            self._traffic.tell()
            try:
                answer = await self.meddle(seen, lambda: self._pass(seen, context))
            except (Refusal, grpc.aio.AioRpcError) as error:
                self._end(seen, error.code() if isinstance(error, grpc.RpcError) else error.code)
                await _abort(context, error)
            seen.answer = parse_answer(path, answer)
            self._end(seen, grpc.StatusCode.OK)
            return answer

        return call

    async def _pass(self, seen: Call, context: Any) -> bytes:
        request = seen.request
        if seen.rpc == "ClaimSteps":
            request.queues[:] = [self._queue]
        data = request.SerializeToString()
        task = asyncio.create_task(self._forward(seen.path, data, context, seen.limit))
        self._forwards.add(task)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():  # by a cut
                raise Refusal(grpc.StatusCode.UNAVAILABLE) from None
            task.cancel()  # the worker has hung up
            raise
        finally:
            self._forwards.discard(task)

    async def _forward(self, path: str, data: bytes, context: Any, limit: float | None) -> bytes:
        answer: bytes = await self._channel.unary_unary(path, None, None)(
            data, timeout=limit, metadata=_credentials(context)
        )
        return answer

    def _end(self, seen: Call, code: grpc.StatusCode) -> None:
        seen.code, seen.answered = code, time.monotonic()
        self._traffic.tell()


async def _refuse(_call: Call, _forward: Forward) -> bytes:
    raise Refusal(grpc.StatusCode.UNAVAILABLE)


class _Every(_Handlers):
    def __init__(self, handler: Callable[[str], Any]) -> None:
        self._handler = handler

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handler(handler_call_details.method)


def _limit(context: Any) -> float | None:
    left: float | None = context.time_remaining()
    return left if left is not None and left < LONG else None


def _credentials(context: Any) -> list[tuple[str, str | bytes]]:
    """What the worker sent by itself, a token say; the rest is gRPC's own."""
    sent = context.invocation_metadata() or ()
    return [(key, value) for key, value in sent if not key.startswith(("grpc-", "user-agent"))]


async def _abort(context: Any, error: Refusal | grpc.aio.AioRpcError) -> NoReturn:
    if isinstance(error, Refusal):
        await context.abort(error.code, str(error), ((DETAILS, _details(error)),))
    else:
        sent = tuple(error.trailing_metadata() or ())
        await context.abort(error.code(), error.details() or "", sent)
    raise error  # not reached: abort raises


def _details(error: Refusal) -> bytes:
    status = Status(code=error.code.value[0], message=str(error))
    if error.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after * 1000))
        status.details.add().Pack(RetryInfo(retry_delay=delay))
    return status.SerializeToString()
