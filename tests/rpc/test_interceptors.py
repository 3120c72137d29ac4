"""What surrounds a call, seen from a real channel; the service behind it only does as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from structlog.testing import capture_logs

from fleetq_server.errors import LeaseLost, NotFound, StoreUnavailable
from fleetq_server.pb import fleet_service_pb2 as fleet_pb
from fleetq_server.pb import heartbeat_service_pb2 as heartbeat_pb
from fleetq_server.pb import step_service_pb2 as step_pb
from fleetq_server.pb.fleet_service_pb2_grpc import (
    FleetServiceServicer,
    FleetServiceStub,
    add_FleetServiceServicer_to_server,
)
from fleetq_server.pb.heartbeat_service_pb2_grpc import (
    HeartbeatServiceServicer,
    HeartbeatServiceStub,
    add_HeartbeatServiceServicer_to_server,
)
from fleetq_server.pb.step_service_pb2_grpc import (
    StepServiceServicer,
    StepServiceStub,
    add_StepServiceServicer_to_server,
)
from fleetq_server.rpc.interceptors import CallGuard
from fleetq_server.rpc.status import DETAILS_KEY

Behaviour = Callable[[], Awaitable[None]]
BOUND = 10.0


class Obedient(StepServiceServicer, FleetServiceServicer, HeartbeatServiceServicer):
    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave

    async def GetStep(self, request: Any, context: Any) -> step_pb.GetStepResponse:
        await self.behave()
        return step_pb.GetStepResponse()

    async def SubmitSteps(self, request: Any, context: Any) -> step_pb.SubmitStepsResponse:
        return step_pb.SubmitStepsResponse()

    async def WaitSteps(self, request: Any, context: Any) -> step_pb.WaitStepsResponse:
        await self.behave()
        return step_pb.WaitStepsResponse()

    async def Beat(self, request: Any, context: Any) -> heartbeat_pb.BeatResponse:
        return heartbeat_pb.BeatResponse()

    async def WatchEvents(
        self, request: Any, context: Any
    ) -> AsyncIterator[fleet_pb.WatchEventsResponse]:
        yield fleet_pb.WatchEventsResponse()
        await self.behave()


class Served:
    def __init__(self, guard: CallGuard, channel: grpc.aio.Channel) -> None:
        self.guard = guard
        self.channel = channel
        self.steps = StepServiceStub(channel)
        self.fleet = FleetServiceStub(channel)
        self.heartbeats = HeartbeatServiceStub(channel)

    def bytes_to(self, rpc: str) -> Any:
        channel: Any = self.channel  # the type stubs want serializers
        return channel.unary_unary(f"/fleetq.v1.{rpc}")


@asynccontextmanager
async def served(behave: Behaviour, *more: Any) -> AsyncIterator[Served]:
    guard = CallGuard()
    server = grpc.aio.server(interceptors=(guard, *more), options=[("grpc.so_reuseport", 0)])
    service = Obedient(behave)
    add_StepServiceServicer_to_server(service, server)
    add_FleetServiceServicer_to_server(service, server)
    add_HeartbeatServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Served(guard, channel)
    finally:
        await server.stop(0)


def raising(error: BaseException) -> Behaviour:
    async def behave() -> None:
        raise error

    return behave


async def nothing() -> None: ...


class Patient:
    """Waits for ever, and tells when it began and when it was ended."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, ErrorInfo]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call, BOUND)
    trailers: Any = caught.value.trailing_metadata()
    answer = Status.FromString(trailers[DETAILS_KEY])
    info = ErrorInfo()
    assert [detail.Unpack(info) for detail in answer.details].count(True) == 1
    assert answer.message == caught.value.details()
    return caught.value.code(), answer.message, info


async def test_an_error_reaches_the_caller_with_its_reason() -> None:
    async with served(raising(NotFound("step", "7"))) as pod:
        code, text, info = await refusal(pod.steps.GetStep(step_pb.GetStepRequest()))
    assert (code, text) == (grpc.StatusCode.NOT_FOUND, "no step '7'")
    assert info.reason == "STEP_NOT_FOUND"


async def test_a_bug_reaches_the_log_and_never_the_caller() -> None:
    with capture_logs() as lines:
        async with served(raising(RuntimeError("password"))) as pod:
            code, text, info = await refusal(pod.steps.GetStep(step_pb.GetStepRequest()))
    assert (code, text) == (grpc.StatusCode.INTERNAL, "internal error")
    assert "password" not in str(info)
    [line] = [line for line in lines if line["log_level"] == "error"]
    assert line["log_id"] == info.metadata["log_id"]
    assert str(line["exc_info"]) == "password"


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x02\xff\xff", b"\x0a\xff\xff\xff\xff\x07"])
async def test_what_is_no_message_of_the_rpc_is_an_invalid_argument(raw: bytes) -> None:
    async with served(nothing) as pod:
        code, _, info = await refusal(pod.bytes_to("StepService/GetStep")(raw))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert info.metadata["field"] == "request"


async def test_an_unknown_rpc_is_unimplemented() -> None:
    async with served(nothing) as pod:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pod.bytes_to("StepService/Nothing")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_cancel_from_inside_does_not_leave_the_caller_waiting() -> None:
    async with served(raising(asyncio.CancelledError())) as pod:
        code, _, _ = await refusal(pod.steps.GetStep(step_pb.GetStepRequest()))
    assert code is grpc.StatusCode.UNAVAILABLE


async def test_a_call_ends_when_its_caller_is_gone() -> None:
    patient = Patient()
    async with served(patient) as pod:
        call = pod.steps.WaitSteps(step_pb.WaitStepsRequest())
        waiting = asyncio.ensure_future(call)
        await asyncio.wait_for(patient.begun.wait(), BOUND)
        assert not patient.ended.is_set()
        waiting.cancel()
        assert await asyncio.wait_for(patient.ended.wait(), BOUND)


async def test_an_error_ends_a_stream_with_its_reason() -> None:
    async with served(raising(StoreUnavailable("disk full"))) as pod:
        stream = pod.fleet.WatchEvents(fleet_pb.WatchEventsRequest())
        assert await stream.read() == fleet_pb.WatchEventsResponse()
        code, _, info = await refusal(stream.read())
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


async def test_a_stream_ends_when_its_reader_is_gone() -> None:
    patient = Patient()
    async with served(patient) as pod:
        stream = pod.fleet.WatchEvents(fleet_pb.WatchEventsRequest())
        await stream.read()
        await asyncio.wait_for(patient.begun.wait(), BOUND)
        assert not patient.ended.is_set()
        stream.cancel()
        assert await asyncio.wait_for(patient.ended.wait(), BOUND)


async def test_a_draining_pod_sends_those_who_wait_to_others() -> None:
    patient = Patient()
    async with served(patient) as pod:
        waiting = asyncio.ensure_future(pod.steps.WaitSteps(step_pb.WaitStepsRequest()))
        await asyncio.wait_for(patient.begun.wait(), BOUND)
        pod.guard.drain()
        code, _, info = await refusal(waiting)
    assert (code, info.reason) == (grpc.StatusCode.UNAVAILABLE, "POD_DRAINING")


async def test_a_draining_pod_ends_streams() -> None:
    patient = Patient()
    async with served(patient) as pod:
        stream = pod.fleet.WatchEvents(fleet_pb.WatchEventsRequest())
        await stream.read()
        await asyncio.wait_for(patient.begun.wait(), BOUND)
        pod.guard.drain()
        _, _, info = await refusal(stream.read())
    assert info.reason == "POD_DRAINING"


async def test_a_draining_pod_takes_in_nothing_and_still_hears_of_its_work() -> None:
    async with served(nothing) as pod:
        pod.guard.drain()
        pod.guard.drain()
        _, _, info = await refusal(pod.steps.SubmitSteps(step_pb.SubmitStepsRequest()))
        assert info.reason == "POD_DRAINING"
        assert await pod.heartbeats.Beat(heartbeat_pb.BeatRequest()) == heartbeat_pb.BeatResponse()


async def test_closing_waits_for_calls_and_no_longer_than_its_grace() -> None:
    begun, held = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        begun.set()
        await held.wait()

    async with served(hold) as pod:
        call = asyncio.ensure_future(pod.steps.GetStep(step_pb.GetStepRequest()))
        await asyncio.wait_for(begun.wait(), BOUND)
        await asyncio.wait_for(pod.guard.close(0.01), BOUND)
        assert not call.done()
        _, _, info = await refusal(pod.heartbeats.Beat(heartbeat_pb.BeatRequest()))
        assert info.reason == "POD_DRAINING"
        closing = asyncio.ensure_future(pod.guard.close(60))
        held.set()
        await asyncio.wait_for(closing, BOUND)
        await call


class Refusing(grpc.aio.ServerInterceptor):
    """A plugin's: refuses at once, or hands out a handler that does."""

    def __init__(self, how: str) -> None:
        self.how = how

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        if self.how == "raises":
            raise LeaseLost("expired")

        async def abort(request: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")

        return grpc.unary_unary_rpc_method_handler(abort)


async def test_what_a_plugins_interceptor_raises_becomes_a_status() -> None:
    async with served(nothing, Refusing("raises")) as pod:
        code, _, info = await refusal(pod.steps.GetStep(step_pb.GetStepRequest()))
    assert (code, info.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST")


async def test_what_a_plugins_interceptor_answers_is_left_alone() -> None:
    async with served(nothing, Refusing("answers")) as pod:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pod.steps.GetStep(step_pb.GetStepRequest())
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert caught.value.details() == "not you"
