"""The client and its worker with real pods."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import grpc.aio
import pytest

from fleetq_server.client import AsyncClient, Client, Grant, StepsFailed, Worker
from fleetq_server.core.context import Context
from fleetq_server.errors import ClientClosed, IdempotencyConflict, InvalidArgument, NotFound
from fleetq_server.model import (
    Cause,
    Completion,
    NewStep,
    Release,
    Result,
    RetryPolicy,
    StepState,
    Verdict,
)
from fleetq_server.pb.fleet_service_pb2 import WatchEventsRequest, WatchEventsResponse
from fleetq_server.pb.fleet_service_pb2_grpc import FleetServiceStub
from tests.cluster.real_pod import BOUND, RealPod, real_pod

HOLDER = "test-holder-1"


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPod]:
    with real_pod(tmp_path_factory.mktemp("pod")) as running:
        yield running


@pytest.fixture
async def client(pod: RealPod) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(pod.address) as opened:
        yield opened


def test_submit_and_wait_as_the_documentation_shows(pod: RealPod) -> None:
    with Client(pod.address) as client:
        steps = client.submit("double", [{"n": i} for i in range(500)])
        result = client.wait(steps, timeout=BOUND)
    assert result.completed == 500
    assert [result[step].value for step in steps] == [2 * i for i in range(500)]
    result.raise_for_failures()


async def test_more_ids_than_one_request_takes(client: AsyncClient) -> None:
    steps = await client.submit("double", [{"n": i} for i in range(2300)])
    result = await client.wait(steps, timeout=BOUND)
    assert (result.completed, len(result)) == (2300, 2300)
    assert list(result.results) == steps


async def test_failures_are_told_with_their_cause(client: AsyncClient) -> None:
    once = RetryPolicy(max_attempts=1)
    step = await client.submit_one("fails", {}, retry=once)
    result = await client.wait([step], timeout=BOUND)
    outcome = result[step]
    assert (outcome.state, outcome.cause, outcome.error) == (
        StepState.FAILED,
        Cause.HANDLER_ERROR,
        "ValueError",
    )
    with pytest.raises(StepsFailed, match="as it should"):
        await client.wait([step], timeout=0, strict=True)
    dead = [each async for each in client.dead(step_ids=[step])]
    assert [str(each.step_id) for each in dead] == [step]
    assert dead[0].attempts[0].message == "as it should"
    assert await client.redrive(step_ids=[step], dry_run=True) == [step]
    assert await client.purge(step_ids=[step]) == [step]
    with pytest.raises(NotFound):
        await client.get(step)


async def test_refusals_name_the_field(client: AsyncClient) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await client.submit_steps([NewStep("k"), NewStep("k", queue="No Queue")])
    assert caught.value.field == "steps[1].queue"
    key = "test_refusals"
    first = await client.submit_one("k", 1, run_at=4e9, idempotency_key=key)
    assert await client.submit_one("k", 1, run_at=4e9, idempotency_key=key) == first
    with pytest.raises(IdempotencyConflict) as conflict:
        await client.submit_one("k", 2, run_at=4e9, idempotency_key=key)
    assert (conflict.value.key, conflict.value.step_id) == (key, first)
    with pytest.raises(NotFound):
        await client.wait(["999999999"], timeout=1)


async def test_listing_goes_through_all_pages(client: AsyncClient) -> None:
    steps = await client.submit("listed", range(250), run_at=4e9, queue="listing")
    found = [str(step.step_id) async for step in client.list(queue="listing")]
    assert found == steps[::-1]
    few = [str(step.step_id) async for step in client.list(queue="listing", limit=120)]
    assert few == steps[:-121:-1]
    assert await client.cancel([*steps[:2], "999999999"]) == [StepState.CANCELLED] * 2 + [None]
    cancelled = client.list(queue="listing", states=[StepState.CANCELLED])
    assert len([step async for step in cancelled]) == 2


async def test_the_fleet_can_be_looked_at_and_steered(client: AsyncClient, pod: RealPod) -> None:
    pods = await client.pods()
    assert pods[0].pod_id == pod.pod_id
    assert pods[0].address == pod.address
    leader = await client.leader()
    assert leader.holder_id == pod.pod_id
    await client.pause("steered")
    assert next(q for q in (await client.stats()).queues if q.queue == "steered").paused
    await client.resume("steered")
    stats = await client.stats()
    assert not any(queue.paused for queue in stats.queues)
    assert stats.totals.conserved
    with pytest.raises(NotFound):
        await client.drain("nobody")


async def test_events_of_the_past_and_of_the_moment(client: AsyncClient) -> None:
    past = [event async for event in client.events(after=0, quiet=0.3)]
    assert past
    assert [event.seq for event in past] == sorted({event.seq for event in past})
    following = client.events(after=past[-1].seq, types=["submitted"])
    step = await client.submit_one("double", {"n": 1})
    async with asyncio.timeout(BOUND):
        event = await anext(following)
    assert str(event.step_ids[0]) == step
    await following.aclose()


async def test_events_from_now_on_begin_behind_the_newest(
    pod: RealPod, client: AsyncClient
) -> None:
    newest = [event.seq async for event in client.events(after=0, quiet=0.3)][-1]
    async with grpc.aio.insecure_channel(pod.address) as channel:
        stream = FleetServiceStub(channel).WatchEvents(WatchEventsRequest(types=["paused"]))
        told = dict(tuple(await asyncio.wait_for(stream.initial_metadata(), BOUND) or ()))
        assert int(told["fleetq-after"]) >= newest
        await client.pause("watched")
        message = await asyncio.wait_for(stream.read(), BOUND)
        assert isinstance(message, WatchEventsResponse)
        assert (message.event.queue, message.event.type) == ("watched", "paused")
        stream.cancel()


async def test_claims_by_hand(client: AsyncClient) -> None:
    step = await client.submit_one("by-hand", b"\x00\xff", metadata={"a": "b"})

    async def ask() -> Grant:
        return await client.claim_steps(HOLDER, kinds=["by-hand"], wait=5.0, request_id="one")

    grant = await ask()
    assert (await ask()).claims == grant.claims
    (claim,) = grant.claims
    assert (str(claim.step_id), claim.payload, claim.metadata) == (step, b"\x00\xff", {"a": "b"})
    assert 0 < grant.heartbeat_interval < grant.dead_threshold
    mine = Release(claim.step_id, claim.fence)
    reply = await client.beat(HOLDER, ask=[mine])
    assert (reply.alive, reply.verdicts) == (True, (Verdict.OK,))
    done = [Completion(claim.step_id, claim.fence, Result(b"42", True))]
    assert await client.complete_steps(done) == [Verdict.OK]
    assert await client.complete_steps(done) == [Verdict.OK]
    assert (await client.release_steps([mine]))[0].lost
    assert (await client.wait([step], timeout=0))[step].value == 42


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():
            await asyncio.sleep(0.01)


async def working(worker: Worker) -> "asyncio.Task[None]":
    return asyncio.create_task(worker.run())


async def test_a_worker_runs_async_and_plain_handlers(client: AsyncClient) -> None:
    async def triple(context: Context) -> int:
        return 3 * context.json()["n"]

    def name(context: Context) -> bytes:
        return f"{context.kind} in {threading.current_thread().name[:11]}".encode()

    def fail(context: Context) -> None:
        raise KeyError("key")

    worker = client.worker({"triple": triple, "name": name, "wfail": fail}, parallelism=20)
    running = await working(worker)
    steps = await client.submit("triple", [{"n": i} for i in range(300)])
    named = await client.submit_one("name")
    failing = await client.submit_one("wfail", retry=RetryPolicy(max_attempts=1))
    result = await client.wait([*steps, named, failing], timeout=BOUND)
    assert [result[step].value for step in steps] == [3 * i for i in range(300)]
    assert result[named].value == b"name in fleetq-step"
    assert (result[failing].error, result[failing].state) == ("KeyError", StepState.FAILED)
    worker.drain()
    await asyncio.wait_for(running, BOUND)


async def test_a_drained_worker_gives_back_what_it_cannot_finish(client: AsyncClient) -> None:
    started = asyncio.Event()

    async def endless(_: Context) -> None:
        started.set()
        await asyncio.Event().wait()

    worker = client.worker({"endless": endless}, grace=0.1)
    running = await working(worker)
    step = await client.submit_one("endless")
    await asyncio.wait_for(started.wait(), BOUND)
    await client.drain(worker.holder_id)
    await asyncio.wait_for(running, BOUND)
    back = await client.get(step)
    assert (back.state, back.failures) == (StepState.PENDING, 0)
    await client.cancel([step])


async def test_a_cancelled_step_is_stopped_where_it_runs(client: AsyncClient) -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def endless(context: Context) -> None:
        context.progress({"at": 1})
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    worker = client.worker({"cancel-me": endless})
    running = await working(worker)
    step = await client.submit_one("cancel-me")
    await asyncio.wait_for(started.wait(), BOUND)
    await client.cancel([step])
    await asyncio.wait_for(stopped.wait(), BOUND)
    result = await client.wait([step], timeout=BOUND)
    assert result[step].state is StepState.CANCELLED
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_progress_of_a_heartbeat_that_failed_is_told_by_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    started, report, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def talk(context: Context) -> None:
        started.set()
        await report.wait()
        context.progress("half")
        await go_on.wait()

    def failed() -> int:
        return sum(message.startswith("heartbeat failed") for message in caplog.messages)

    flags = ("--heartbeat-interval-seconds", "0.2", "--dead-pod-threshold-seconds", "30")
    with real_pod(tmp_path, *flags) as pod:
        async with AsyncClient(pod.address) as client:
            worker = client.worker({"talk": talk})
            running = await working(worker)
            step = await client.submit_one("talk")
            await asyncio.wait_for(started.wait(), BOUND)
            pod.stop()
            report.set()
            await until(lambda: failed() >= 2)  # the second was made after the report
            pod.go_on()
            async with asyncio.timeout(BOUND):
                while (await client.get(step)).progress != b'"half"':
                    await asyncio.sleep(0.01)
            go_on.set()
            assert (await client.wait([step], timeout=BOUND))[step].ok
            worker.drain()
            await asyncio.wait_for(running, BOUND)


async def test_with_its_client_closed_nothing_waits_or_repeats_any_more(pod: RealPod) -> None:
    client = AsyncClient(pod.address)
    started = asyncio.Event()

    async def endless(context: Context) -> None:
        started.set()
        await asyncio.Event().wait()

    running = await working(client.worker({"left-behind": endless}))
    step = await client.submit_one("left-behind")
    await asyncio.wait_for(started.wait(), BOUND)
    waiting = asyncio.create_task(client.wait([step], timeout=10 * BOUND))
    await asyncio.sleep(0)
    await client.close()
    for task in (waiting, running):
        with pytest.raises(ClientClosed):
            await asyncio.wait_for(task, BOUND)


async def test_a_worker_cut_off_stops_its_handlers_before_others_may_start(tmp_path: Path) -> None:
    flags = ("--heartbeat-interval-seconds", "0.2", "--dead-pod-threshold-seconds", "1.5")
    started, stopped = asyncio.Event(), asyncio.Event()

    async def endless(context: Context) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with real_pod(tmp_path, *flags) as pod:
        async with AsyncClient(pod.address) as client:
            worker = client.worker({"k": endless})
            first_holder = worker.holder_id
            running = await working(worker)
            await client.submit_one("k")
            await asyncio.wait_for(started.wait(), BOUND)
            loop = asyncio.get_running_loop()
            pod.stop()
            cut_off = loop.time()
            await asyncio.wait_for(stopped.wait(), BOUND)
            assert loop.time() - cut_off < 1.5
            assert worker.holder_id != first_holder
            started.clear()
            pod.go_on()
            await asyncio.wait_for(started.wait(), BOUND)  # by its new incarnation
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_killing_one_of_two_pods_surfaces_no_error(tmp_path: Path) -> None:
    with real_pod(tmp_path) as stays, real_pod(tmp_path) as goes:
        async with AsyncClient([stays.address, goes.address]) as client:

            async def submit_some(count: int) -> list[str]:
                return [await client.submit_one("double", {"n": n}) for n in range(count)]

            tasks = [asyncio.create_task(submit_some(30)) for _ in range(10)]
            await asyncio.sleep(0)
            goes.kill()
            steps = [step for ids in await asyncio.gather(*tasks) for step in ids]
            assert len(set(steps)) == 300
            assert (await client.wait(steps, timeout=BOUND)).completed == 300
            assert (await client.stats()).totals.submitted == 300
