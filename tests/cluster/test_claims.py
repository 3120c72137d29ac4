"""Work for remote workers, over any pod; and how soon pods hear of it from each other."""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from fleetq_server.client import Grant
from fleetq_server.errors import FleetError
from fleetq_server.model import Claim, Completion, Release, StepState, Verdict
from tests.cluster.fleet import Pods, until
from tests.cluster.test_fencing import SWIFT

KINDS = ["wash"]


def new_holder() -> str:
    return uuid4().hex


def completion(claim: Claim) -> Completion:
    return Completion(claim.step_id, claim.fence)


def held(claim: Claim) -> Release:
    return Release(claim.step_id, claim.fence)


def test_a_long_poll_wakes_for_what_another_pod_took_in(pods: Pods) -> None:
    near, far = pods.start_many(2, "")
    waiter, submitter = pods.client(near), pods.client(far)
    holder = new_holder()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(waiter.claim_steps, holder, kinds=KINDS, wait=20)
        until(lambda: holder in {h.holder_id for h in pods.holders()}, "the worker is known")
        step = submitter.submit_one("wash")
        at = time.monotonic()
        grant: Grant = waiting.result(10)
        print(f"long poll over two pods answered after {(time.monotonic() - at) * 1000:.1f} ms")
    assert [claim.step_id for claim in grant.claims] == [int(step)]
    assert submitter.complete_steps([completion(grant.claims[0])]) == [Verdict.OK]
    assert pods.step(step).state is StepState.COMPLETED


def test_a_repeated_claim_gives_the_same_claims_at_any_pod(pods: Pods) -> None:
    clients = [pods.client(pod) for pod in pods.start_many(2, "")]
    clients[0].submit("wash", [b""] * 10)
    holder = new_holder()
    first = clients[0].claim_steps(holder, kinds=KINDS, limit=4, request_id="r-1").claims
    again = clients[1].claim_steps(holder, kinds=KINDS, limit=4, request_id="r-1").claims
    assert len(first) == 4
    assert [(c.step_id, c.fence) for c in first] == [(c.step_id, c.fence) for c in again]
    clients[1].complete_steps([completion(first[0])])
    third = clients[0].claim_steps(holder, kinds=KINDS, limit=4, request_id="r-1").claims
    assert [c.step_id for c in third] == [c.step_id for c in first[1:]]
    assert clients[1].complete_steps([completion(first[0])]) == [Verdict.OK]
    clients[0].release_steps([held(c) for c in third])


def test_a_worker_gone_while_it_waits_strands_nothing(pods: Pods) -> None:
    pod = pods.start("")
    gone, there = pods.client(pod), pods.client(pod)
    holder = new_holder()

    def wait_until_closed() -> None:
        with pytest.raises(FleetError):
            gone.claim_steps(holder, kinds=KINDS, wait=20)

    thread = threading.Thread(target=wait_until_closed)
    thread.start()
    until(lambda: holder in {h.holder_id for h in pods.holders()}, "the worker is known")
    gone.close()
    thread.join()
    step = there.submit_one("wash")
    (claim,) = there.claim_steps(new_holder(), kinds=KINDS, wait=10).claims
    assert (claim.step_id, claim.attempt) == (int(step), 1)
    there.complete_steps([completion(claim)])
    assert pods.step(step).crashes == 0


def test_a_worker_gone_while_its_claim_is_written_strands_nothing(pods: Pods) -> None:
    control = pods.directory / "faults"
    pod = pods.start("", faults=control)
    gone, there = pods.client(pod), pods.client(pod)
    step = there.submit_one("wash")
    holder = new_holder()
    gone.beat(holder)
    control.write_text('{"failpoints": "store.before_commit=delay:0.5"}')
    pods.await_beats(pod, 2)  # by now the writer dawdles

    def claim() -> None:
        with pytest.raises(FleetError):
            gone.claim_steps(holder, kinds=KINDS)

    thread = threading.Thread(target=claim)
    thread.start()
    thread.join(0.3)
    gone.close()
    thread.join()
    (claimed,) = until(lambda: pods.events("claimed", step=step), "the claim is written")
    assert claimed.holder == holder
    control.write_text("{}")
    other = new_holder()
    grant = there.claim_steps(other, kinds=KINDS, wait=3)
    assert [c.attempt for c in grant.claims] == [1]
    there.complete_steps([completion(c) for c in grant.claims])
    assert pods.step(step).crashes == 0


def test_a_heartbeat_tells_how_each_claim_stands(pods: Pods) -> None:
    first, second = (pods.client(pod) for pod in pods.start_many(2, ""))
    holder = new_holder()
    first.submit("wash", [b""] * 4)
    kept, cancelled, done, released = first.claim_steps(holder, kinds=KINDS, limit=4).claims
    second.cancel([cancelled.step_id])
    second.complete_steps([completion(done)])
    second.release_steps([held(released)])
    (superseded,) = second.claim_steps(new_holder(), kinds=KINDS).claims
    assert superseded.step_id == released.step_id
    reply = second.beat(holder, ask=[held(c) for c in (kept, cancelled, done, released)])
    assert reply.alive
    assert not reply.draining
    assert reply.verdicts == (
        Verdict.OK,
        Verdict.CANCEL_REQUESTED,
        Verdict.FINISHED,
        Verdict.SUPERSEDED,
    )
    assert first.release_steps([held(cancelled)]) == [Verdict.OK]
    assert pods.step(str(cancelled.step_id)).state is StepState.CANCELLED
    first.drain(holder)
    assert second.beat(holder).draining


def test_a_silent_worker_loses_its_claims(pods: Pods) -> None:
    client = pods.client(pods.start("", **SWIFT))
    client.submit_one("wash")
    silent, other = new_holder(), new_holder()
    (claim,) = client.claim_steps(silent, kinds=KINDS).claims
    # Waiting for steps is no sign of life; claiming again and again is none either.

    def claim_alive() -> list[Claim]:
        assert client.beat(other).alive
        return client.claim_steps(other, kinds=KINDS).claims

    (again,) = until(claim_alive, "its step is claimable again")
    assert (again.step_id, again.attempt) == (claim.step_id, 2)
    assert client.complete_steps([completion(claim)]) == [Verdict.SUPERSEDED]
    assert not client.beat(silent).alive
    assert client.complete_steps([completion(again)]) == [Verdict.OK]
    assert client.complete_steps([completion(again)]) == [Verdict.OK]
    assert client.complete_steps([completion(claim)]) == [Verdict.FINISHED]


def test_a_worker_asking_while_a_pod_begins_to_drain_is_sent_away(pods: Pods) -> None:
    """Its claim was being written when the waiting ones were answered."""
    control = pods.directory / "faults"
    pod = pods.start("", faults=control)
    client = pods.client(pod)
    holder = new_holder()
    control.write_text('{"failpoints": "store.before_commit=delay:0.5"}')
    pods.await_beats(pod, 2)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.claim_steps, holder, kinds=KINDS, wait=20)
        # Known by one transaction, it claims in the next, for which the writer takes half a second.
        until(lambda: holder in {h.holder_id for h in pods.holders()}, "the worker is known")
        pod.ask_to_end()
        assert waiting.result(10).draining
    assert pod.exit_status() == 0


def test_a_draining_pod_sends_waiting_workers_away(pods: Pods) -> None:
    pod = pods.start()
    client = pods.client(pod)
    step = client.submit_one("hold", pods.payload())
    pods.await_told("started", step)
    holder = new_holder()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.claim_steps, holder, kinds=KINDS, wait=20)
        until(lambda: holder in {h.holder_id for h in pods.holders()}, "the worker is known")
        pod.ask_to_end()
        grant = waiting.result(10)
    assert grant.draining
    assert not grant.claims
    pods.go_on()
    assert pod.exit_status() == 0


def test_steps_are_soon_heard_of_by_the_pod_that_knows_them(pods: Pods) -> None:
    ignorant, able = pods.start(""), pods.start()
    client = pods.client(ignorant)
    asked: dict[str, float] = {}
    for _ in range(40):
        begun = time.time()
        asked[client.submit_one("note", pods.payload())] = begun
        client.wait(list(asked)[-1:], timeout=60, strict=True)
    latencies = [1000 * (line["wall"] - asked[line["step"]]) for line in pods.told("ran")]
    print(f"submit at one pod → start at another: p50 {statistics.median(latencies):.2f} ms,")
    print(f"slowest {max(latencies):.2f} ms of {len(latencies)}")
    assert statistics.median(latencies) < 200
    due = {
        client.submit_one("note", pods.payload(), run_at=when): when
        for when in (time.time() + 0.3, time.time() + 0.45)
    }
    client.wait(due, timeout=60, strict=True)
    late = [line["wall"] - due[line["step"]] for line in pods.told("ran") if line["step"] in due]
    print(f"due steps started {[round(1000 * seconds, 1) for seconds in late]} ms late")
    assert all(0 <= seconds < 0.5 for seconds in late)
    assert able.alive
