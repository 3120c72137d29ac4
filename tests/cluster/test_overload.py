"""Too much is refused with a time to come back; nothing refused was half done, and it passes."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import grpc.aio

from fleetq_server.client import Grant
from fleetq_server.client.errors import from_rpc_error
from fleetq_server.errors import Overloaded
from fleetq_server.pb import step_pb2, step_service_pb2
from fleetq_server.pb.step_service_pb2_grpc import StepServiceStub
from fleetq_server.store.sqlite.faultvfs import give_orders, read_hits
from tests.cluster.fleet import Pods, until


async def test_more_writes_than_a_pod_may_hold_are_refused(pods: Pods) -> None:
    control = pods.directory / "faults"
    pod = pods.start(faults=control, max_pending_writes=100)
    give_orders(control, slow_sync=0.3)
    batch = [step_pb2.NewStep(kind="wash", queue="default") for _ in range(20)]
    requests = [
        step_service_pb2.SubmitStepsRequest(request_id=f"r-{n}", steps=batch) for n in range(40)
    ]
    async with grpc.aio.insecure_channel(pod.address) as channel:
        submit = StepServiceStub(channel).SubmitSteps
        calls = [submit(request, timeout=30) for request in requests]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
        acknowledged = [one for one in answers if not isinstance(one, BaseException)]
        assert read_hits(control)["slow_sync"]
        assert refused
        assert acknowledged
        for error in map(from_rpc_error, refused):
            assert isinstance(error, Overloaded)
            assert error.retry_after > 0
        give_orders(control)
        assert pods.reader.stats().totals.submitted == 20 * len(acknowledged)
        again = [await submit(request, timeout=10) for request in requests]
    assert [answer for answer in again if answer in acknowledged] == acknowledged
    assert pods.reader.stats().totals.submitted == 20 * len(requests)
    client = pods.client(pod)
    client.wait(client.submit("note", [pods.payload()] * 50), timeout=10, strict=True)


def test_the_client_outlasts_an_overload(pods: Pods) -> None:
    control = pods.directory / "faults"
    pod = pods.start(faults=control, max_pending_writes=20)
    give_orders(control, slow_sync=0.05)
    client = pods.client(pod, timeout=30)
    with ThreadPoolExecutor(8) as threads:
        work = [pods.payload()] * 15
        submitted = list(threads.map(lambda _: client.submit("note", work), range(16)))
    ids = [step for batch in submitted for step in batch]
    assert len(set(ids)) == 16 * 15
    give_orders(control)
    client.wait(ids, timeout=60, strict=True)


def test_more_long_polls_than_a_pod_may_hold_are_refused(pods: Pods) -> None:
    pod = pods.start("", max_waiting_calls=3)
    client = pods.client(pod)

    def claim(_: int) -> Grant | Overloaded:
        try:
            return client.claim_steps(uuid4().hex, kinds=["wash"], wait=20)
        except Overloaded as error:
            return error

    with ThreadPoolExecutor(5) as threads:
        calls = [threads.submit(claim, n) for n in range(5)]
        until(lambda: sum(call.done() for call in calls) == 2, "two are refused")
        assert all(isinstance(call.result(), Overloaded) for call in calls if call.done())
        client.submit("wash", [b""] * 3)
        answers = [call.result(10) for call in calls]
    claims = [claim for answer in answers if isinstance(answer, Grant) for claim in answer.claims]
    assert len(claims) == 3


def test_an_event_storm_leaves_the_pod_answering(pods: Pods) -> None:
    pod = pods.start(max_parallelism=100)
    client = pods.client(pod, timeout=30)
    ids = [s for _ in range(5) for s in client.submit("note", [pods.payload()] * 1000)]
    slowest = 0.0
    while not client.wait(ids[-1:], timeout=0).completed:
        begun = time.monotonic()
        client.stats()
        slowest = max(slowest, time.monotonic() - begun)
    print(f"slowest look at a busy pod: {1000 * slowest:.0f} ms")
    assert slowest < 2
    client.wait(ids, timeout=30, strict=True)
