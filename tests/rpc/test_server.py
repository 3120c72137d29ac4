"""The server as a whole, in front of a core that only does what a test needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from structlog.testing import capture_logs

from fleetq_server.core.claim import Grant
from fleetq_server.errors import ConfigError, InvalidArgument
from fleetq_server.model import (
    NO_METADATA,
    Claim,
    Ended,
    Event,
    Fence,
    Result,
    StepId,
    StepState,
    Verdict,
)
from fleetq_server.pb import claim_service_pb2 as claim_pb
from fleetq_server.pb import fleet_service_pb2 as fleet_pb
from fleetq_server.pb import step_service_pb2 as step_pb
from fleetq_server.pb.claim_service_pb2_grpc import ClaimServiceStub
from fleetq_server.pb.fleet_service_pb2_grpc import FleetServiceStub
from fleetq_server.pb.step_service_pb2_grpc import StepServiceStub
from fleetq_server.rpc.fleet_service import MAX_WATCHERS
from fleetq_server.rpc.long_poll import patience
from fleetq_server.rpc.server import SERVICES, RpcServer

LARGE = b"x" * 256 * 1024
BOUND = 10.0


def a_server(core: Any = None, **options: Any) -> RpcServer:
    fake: Any = core or FakeCore()
    return RpcServer(fake, **{"listen": "127.0.0.1:0", **options})


class FakeCore(SimpleNamespace):
    """Gives out large things, and events for ever."""

    def __init__(self) -> None:
        super().__init__(submitter=None, claims=self, waiting=self, fleet=self, dead=None)
        self.heartbeat_interval, self.dead_threshold = 1.0, 5.0
        self.released: list[int] = []

    async def claim(self, *_: Any, limit: int, **__: Any) -> Grant:
        return Grant([_large_claim(n) for n in range(1, limit + 1)], draining=False)

    async def release(self, items: Any) -> list[Verdict]:
        self.released += [item.step_id for item in items]
        return [Verdict.OK] * len(items)

    async def wait(self, step_ids: Any, *_: Any) -> list[Ended]:
        done, large = StepState.COMPLETED, Result(LARGE, json=False)
        return [Ended(step_id, done, large, None, None, None, 1) for step_id in step_ids]

    async def newest_event(self) -> int:
        return 0

    async def watch(self, *_: Any) -> AsyncIterator[Event]:
        yield Event(1, 1.0, "submitted", None, None, None, (), {})
        await asyncio.Event().wait()


def _large_claim(n: int) -> Claim:
    return Claim(
        StepId(n), Fence(1), "k", "default", LARGE, NO_METADATA, None, 1, 0, None, 1.0, 1.0
    )


@asynccontextmanager
async def serving(
    core: Any = None, **options: Any
) -> AsyncIterator[tuple[RpcServer, grpc.aio.Channel]]:
    server = a_server(core, **options)
    port = await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield server, channel
    finally:
        await server.stop(0)


async def test_two_servers_never_share_a_port() -> None:
    first = a_server()
    port = await first.start()
    second = a_server(listen=f"127.0.0.1:{port}")
    with pytest.raises(ConfigError, match=f"listen=127.0.0.1:{port}"):
        await second.start()
    await first.stop(0)


def test_other_hosts_are_let_in_only_on_demand() -> None:
    with pytest.raises(ConfigError, match="--allow-insecure"):
        a_server(listen="0.0.0.0:0")
    a_server(listen="0.0.0.0:0", allow_insecure=True)


async def test_health_tells_readiness_apart_from_life() -> None:
    async with serving() as (server, channel):
        assert await health(channel, "") == "SERVING"
        assert [await health(channel, name) for name in SERVICES] == ["NOT_SERVING"] * 4
        await server.set_serving(True)
        assert [await health(channel, name) for name in SERVICES] == ["SERVING"] * 4
        await server.drain()
        await server.set_serving(True)
        assert [await health(channel, name) for name in SERVICES] == ["NOT_SERVING"] * 4


async def health(channel: grpc.aio.Channel, service: str) -> str:
    stub = health_pb2_grpc.HealthStub(channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    name: str = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return name


@pytest.mark.parametrize("shown", [True, False])
async def test_reflection_lists_the_services_only_if_asked_for(shown: bool) -> None:
    async with serving(reflection=shown) as (_, channel):
        request = reflection_pb2.ServerReflectionRequest(list_services="*")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([request])
        )
        if shown:
            names = {service.name for service in (await call.read()).list_services_response.service}
            assert set(SERVICES) < names
        else:
            with pytest.raises(grpc.aio.AioRpcError):
                await call.read()


async def test_claims_that_would_not_fit_are_given_back() -> None:
    core = FakeCore()
    async with serving(core) as (_, channel):
        request = claim_pb.ClaimStepsRequest(max_steps=20, kinds=["k"])
        answer = await ClaimServiceStub(channel).ClaimSteps(request)
    got = [int(claim.step_id) for claim in answer.claims]
    assert got == list(range(1, 12))
    assert core.released == list(range(12, 21))


async def test_results_that_would_not_fit_are_left_for_the_next_call() -> None:
    async with serving() as (_, channel):
        request = step_pb.WaitStepsRequest(step_ids=[str(n) for n in range(1, 21)])
        answer = await StepServiceStub(channel).WaitSteps(request)
    assert [int(ended.step_id) for ended in answer.ended] == list(range(1, 12))


async def test_watchers_are_bounded_and_make_room_when_they_leave() -> None:
    async with serving() as (_, channel):
        stub = FleetServiceStub(channel)
        streams = [stub.WatchEvents(fleet_pb.WatchEventsRequest()) for _ in range(MAX_WATCHERS)]
        for stream in streams:
            await stream.read()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.WatchEvents(fleet_pb.WatchEventsRequest()).read()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        streams[0].cancel()
        async with asyncio.timeout(BOUND):
            while not await _may_watch(stub):
                pass


async def test_a_watcher_that_leaves_at_once_is_no_failure() -> None:
    async with serving() as (_, channel):
        stub = FleetServiceStub(channel)
        with capture_logs() as lines:
            for number in range(200):
                call = stub.WatchEvents(fleet_pb.WatchEventsRequest())
                for _ in range(number % 12):  # each a little further on its way
                    await asyncio.sleep(0)
                call.cancel()
            await stub.WatchEvents(fleet_pb.WatchEventsRequest()).read()
    assert [line for line in lines if line["event"] == "rpc failed"] == []


async def _may_watch(stub: FleetServiceStub) -> bool:
    try:
        await stub.WatchEvents(fleet_pb.WatchEventsRequest()).read()
    except grpc.aio.AioRpcError:
        return False
    return True


@pytest.mark.parametrize(
    ("asked", "remaining", "seconds"),
    [(0, None, 0), (5, None, 5), (3600, None, 30), (30, 10, 9.8), (5, 10, 5), (5, 0.1, 0)],
)
def test_a_wait_ends_before_its_caller_gives_up(
    asked: int, remaining: float | None, seconds: float
) -> None:
    context: Any = SimpleNamespace(time_remaining=lambda: remaining)
    assert patience(Duration(seconds=asked), context) == pytest.approx(seconds)


def test_a_negative_wait_is_refused() -> None:
    context: Any = SimpleNamespace(time_remaining=lambda: None)
    with pytest.raises(InvalidArgument, match="wait"):
        patience(Duration(seconds=-1), context)
