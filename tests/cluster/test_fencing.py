"""A holder stops its own handlers before anybody else may start them."""

import time
from typing import Any

import pytest

from fleetq_server.model import HolderStatus, RetryPolicy, StepState
from fleetq_server.store.sqlite.faultvfs import give_orders
from tests.cluster.fleet import Pod, Pods, until

THRESHOLD = 1.0
PAUSE = 0.2  # of a ticking handler
SWIFT: dict[str, Any] = {"heartbeat_interval_seconds": 0.2, "dead_pod_threshold_seconds": THRESHOLD}


def await_rejoined(pods: Pods, pod: Pod) -> None:
    until(
        lambda: pods.holder_of(pod).holder_id != pod.id and pods.live(pod),
        "it is back under another id",
    )


def assert_works(pods: Pods, pod: Pod) -> None:
    """The pod itself, not just the fleet: the one that takes a submit claims it as well."""
    client = pods.client(pod)
    result = client.wait(client.submit("note", [pods.payload()] * 5), timeout=10, strict=True)
    assert f'"pid": {pod.pid}'.encode() in b"".join(outcome.data or b"" for outcome in result)


def late_lines(pods: Pods, step: str) -> int:
    """Lines of an old attempt after the first of the new one."""
    attempts = [attempt for _, attempt in pods.tells_of(step)]
    return attempts[attempts.index(2) :].count(1)


def freeze_between_ticks(pods: Pods, pod: Pod, steps: list[str]) -> float:
    """Freezes it while each handler sleeps for certain, its last tick being less than PAUSE old.
    What a process frozen on its way from a handler's sleep to its next line does after it thaws,
    nothing inside it can prevent. → the monotonic time"""

    def look() -> float | None:
        frozen_at = pods.freeze(pod)
        last = [pods.told("tick", step)[-1]["at"] for step in steps]
        if frozen_at < min(last) + PAUSE:
            return frozen_at
        pod.thaw()
        return None

    return until(look, "it is frozen while its handlers sleep")


@pytest.mark.parametrize("frozen_leads", [True, False], ids=["leader", "follower"])
def test_a_frozen_pod_wakes_up_as_nobody(pods: Pods, frozen_leads: bool) -> None:
    guard = None if frozen_leads else pods.start("", **SWIFT)
    frozen = pods.start(**SWIFT)
    assert (pods.leader() is frozen) == frozen_leads
    client = pods.client(frozen)
    steps = client.submit("tick", [pods.payload(pause=PAUSE)] * 4)
    late = client.submit_one("deaf", pods.payload(until=str(pods.directory / "late")))
    for step in steps:
        pods.await_told("tick", step, count=2)
    pods.await_told("started", late)
    other = pods.start(**SWIFT)
    term = pods.reader.leadership().term
    frozen_at = freeze_between_ticks(pods, frozen, steps)
    until(lambda: all(t["attempt"] == 2 for t in pods.told("tick")[-4:]), "steps run elsewhere")
    began = [line["at"] for line in pods.told("tick") if line["attempt"] == 2]
    print(f"frozen: first step again after {min(began) - frozen_at:.3f} s")
    assert min(began) - frozen_at < THRESHOLD + 3
    (pods.directory / "late").touch()
    until(lambda: pods.step(late).state is StepState.COMPLETED, "the second attempt is recorded")
    frozen.thaw()
    await_rejoined(pods, frozen)
    assert_works(pods, frozen)
    pods.go_on()
    pods.client(other).wait(steps, timeout=60, strict=True)
    assert [late_lines(pods, step) for step in steps] == [0] * 4
    assert pods.ends()[late] == 1
    assert all(pods.ends()[step] == 1 for step in steps)
    refused = until(lambda: frozen.said("outcomes refused"), "late outcomes are refused")
    assert refused
    assert pods.leader()
    assert pods.reader.leadership().term == term + frozen_leads
    (dead,) = pods.events("pod_dead")
    assert (dead.holder, dead.detail["proof"]) == (frozen.id, "silence")
    assert guard is None or guard.alive


def test_a_frozen_pod_ends_itself_if_a_handler_does_not_heed(pods: Pods) -> None:
    """Its step runs elsewhere already."""
    frozen = pods.start(**SWIFT)
    step = pods.client(frozen).submit_one("deaf", pods.payload())
    pods.await_told("started", step)
    pods.start(**SWIFT)
    pods.freeze(frozen)
    pods.await_told("started", step, count=2)
    frozen.thaw()
    assert frozen.exit_status() == 75
    assert [event for event, _ in pods.tells_of(step)] == ["started", "started"]


def test_a_pod_frozen_in_the_middle_of_a_write_does_not_stop_the_fleet(pods: Pods) -> None:
    control = pods.directory / "faults"
    victim = pods.start(faults=control, **SWIFT)
    step = pods.client(victim).submit_one("hold", pods.payload())
    pods.await_told("started", step)
    other = pods.start(**SWIFT)
    control.write_text('{"failpoints": "store.between_statements=stop"}')
    frozen_at = time.monotonic()
    pods.await_told("started", step, count=2)
    took = time.monotonic() - frozen_at
    print(f"frozen inside a write: the step runs again after {took:.3f} s")
    assert took < THRESHOLD + 3
    assert victim.exit_status() == -9
    pods.go_on()
    pods.client(other).wait([step], timeout=60, strict=True)
    assert pods.holder_of(other).holder_id == other.id, "the others kept their lease"


def test_a_blocked_event_loop_costs_no_claims(pods: Pods) -> None:
    """The pod that blocks leads as well."""
    blocked, other = pods.start(**SWIFT), pods.start(**SWIFT)
    client = pods.client(blocked, timeout=20)
    seconds = 2.5 * THRESHOLD
    step = client.submit_one("block", pods.payload(seconds=seconds))
    pods.await_told("started", step)
    beats = pods.holder_of(blocked).beats
    pods.await_told("woke", step)
    assert pods.holder_of(blocked).beats >= beats + 5
    assert client.wait([step], timeout=60, strict=True)[step].attempt == 1
    assert pods.tells_of(step) == [("started", 1), ("woke", 1), ("ended", 1)]
    assert not pods.events("pod_dead")
    assert pods.leader() is blocked
    assert other.alive


def test_a_cut_off_pod_ends_itself_if_a_handler_does_not_heed(pods: Pods) -> None:
    control = pods.directory / "faults"
    guard = pods.start("", **SWIFT)
    victim = pods.start(faults=control, **SWIFT)
    step = pods.client(guard).submit_one("deaf", pods.payload())
    pods.await_told("started", step)
    give_orders(control, write_error=1)
    cut_at = time.monotonic()
    status = victim.exit_status()
    print(f"cut off: ended after {time.monotonic() - cut_at:.3f} s of {THRESHOLD} s")
    assert status == 75
    assert pods.step(step).attempt == 1
    pods.go_on()
    pods.client(pods.start(**SWIFT)).wait([step], timeout=60, strict=True)
    assert pods.step(step).crashes == 1


def test_a_cut_off_pods_coroutines_are_stopped_before_others_run_them(pods: Pods) -> None:
    control = pods.directory / "faults"
    guard = pods.start("", **SWIFT)
    victim = pods.start(faults=control, **SWIFT)
    client = pods.client(guard)
    steps = client.submit("tick", [pods.payload()] * 3)
    (held,) = client.submit("hold", [pods.payload()])
    pods.await_told("tick", count=10)
    pods.await_told("started", held)
    pods.start(**SWIFT)
    give_orders(control, write_error=1)
    pods.await_told("started", held, count=2)
    assert pods.tells_of(held) == [("started", 1), ("cancelled", 1), ("started", 2)]
    give_orders(control)
    await_rejoined(pods, victim)
    assert_works(pods, victim)
    pods.go_on()
    client.wait([*steps, held], timeout=60, strict=True)
    assert sum(late_lines(pods, step) for step in steps) == 0


def test_a_lone_pod_whose_store_hangs_stops_and_resumes(pods: Pods) -> None:
    """Nobody was there to declare it dead, so it may go on as who it is."""
    pod = pods.start(**SWIFT)
    client = pods.client(pod)
    step = client.submit_one("hold", pods.payload(), retry=RetryPolicy(max_attempts=1))
    pods.await_told("started", step)
    with pods.cut_off():
        pods.await_told("cancelled", step)
    pods.await_told("started", step, count=2)
    pods.go_on()
    client.wait([step], timeout=60, strict=True)
    found = pods.step(step)
    assert (found.attempt, found.crashes, found.failures) == (1, 0, 0)
    assert pods.holder_of(pod).status is HolderStatus.LIVE
    assert pods.holder_of(pod).holder_id == pod.id
