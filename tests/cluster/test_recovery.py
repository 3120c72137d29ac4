"""Pods die; their steps do not."""

import signal
from collections import Counter
from typing import Any

import pytest

from fleetq_server.model import Cause, HolderStatus, StepState
from tests.cluster.fleet import Pod, Pods, until

ROOMY: dict[str, Any] = {"max_parallelism": 100, "capacity_threshold": 1}
STEPS = 40


def delays(pods: Pods, died_at: float) -> tuple[float, float]:
    """Seconds from a death to the first and to the last second attempt."""
    again = [line["at"] for line in pods.told("started") if line["attempt"] == 2]
    return min(again) - died_at, max(again) - died_at


def await_second_attempts(pods: Pods, count: int) -> None:
    def look() -> bool:
        return sum(line["attempt"] == 2 for line in pods.told("started")) >= count

    until(look, f"{count} second attempts")


def assert_each_ended_once(pods: Pods, steps: list[str]) -> None:
    ended = Counter(line["step"] for line in pods.told("ended"))
    assert ended == pods.ends() == Counter(steps)
    for step in steps:
        found = pods.step(step)
        assert (found.state, found.attempt, found.crashes) == (StepState.COMPLETED, 2, 1)
        assert [attempt.cause for attempt in found.attempts] == [Cause.CRASHED]


def hold_steps(pods: Pods, victim: Pod) -> list[str]:
    steps = pods.client(victim).submit("hold", [pods.payload()] * STEPS)
    pods.await_told("started", count=STEPS)
    return steps


def test_a_killed_leaders_steps_run_elsewhere_under_a_new_leader(pods: Pods) -> None:
    first = pods.start(**ROOMY)
    steps = hold_steps(pods, first)
    assert pods.leader() is first
    before = pods.reader.leadership()
    others = pods.start_many(2, **ROOMY)
    died_at = first.kill()
    await_second_attempts(pods, STEPS)
    soonest, latest = delays(pods, died_at)
    print(
        f"leader killed: first step again after {soonest:.3f} s, all {STEPS} after {latest:.3f} s"
    )
    assert latest < 2
    assert pods.leader() in others
    assert pods.reader.leadership().term == before.term + 1
    pods.go_on()
    pods.client(*others).wait(steps, timeout=60, strict=True)
    assert_each_ended_once(pods, steps)
    (dead,) = pods.events("pod_dead")
    assert (dead.holder, dead.detail["proof"]) == (first.id, "lock")


def test_a_killed_followers_steps_run_elsewhere_under_the_same_leader(pods: Pods) -> None:
    leader = pods.start("", heartbeat_interval_seconds=0.2)
    victim = pods.start(**ROOMY)
    steps = hold_steps(pods, victim)
    other = pods.start(**ROOMY)
    pods.await_beats(leader, 3)
    assert pods.leader() is leader
    before = pods.reader.leadership()
    died_at = victim.kill()
    await_second_attempts(pods, STEPS)
    soonest, latest = delays(pods, died_at)
    print(f"follower killed: first after {soonest:.3f} s, all {STEPS} after {latest:.3f} s")
    assert latest < 2
    pods.go_on()
    pods.client(leader, other).wait(steps, timeout=60, strict=True)
    assert_each_ended_once(pods, steps)
    assert pods.reader.leadership() == before


def test_a_pod_killed_right_after_its_start_is_noticed_too(pods: Pods) -> None:
    pods.start("", heartbeat_interval_seconds=60, dead_pod_threshold_seconds=300)
    victim = pods.start(**ROOMY)
    steps = hold_steps(pods, victim)
    other = pods.start(**ROOMY)
    died_at = victim.kill()
    await_second_attempts(pods, STEPS)
    print(f"killed when just started: first after {delays(pods, died_at)[0]:.3f} s")
    assert delays(pods, died_at)[0] < 2
    pods.go_on()
    pods.client(other).wait(steps, timeout=60, strict=True)
    assert_each_ended_once(pods, steps)


def test_what_was_acknowledged_survives_the_death_of_all(pods: Pods) -> None:
    all_pods = [pods.start(**ROOMY), *pods.start_many(2, **ROOMY)]
    client = pods.client(*all_pods)
    running = client.submit("hold", [pods.payload()] * 30)
    later = client.submit("note", [pods.payload()] * 30, run_at=1.0)
    for pod in all_pods:
        pod.send(signal.SIGKILL)
    assert [pod.exit_status() for pod in all_pods] == [-9] * 3
    pods.go_on()
    survivor = pods.start(**ROOMY)
    result = pods.client(survivor).wait([*running, *later], timeout=60, strict=True)
    assert result.completed == 60
    assert pods.ends() == Counter([*running, *later])
    dead = [holder for holder in pods.holders() if holder.status is HolderStatus.DEAD]
    assert {holder.holder_id for holder in dead} == {pod.id for pod in all_pods}
    until(lambda: not [f for f in pods.leftovers() if survivor.id not in f], "old files removed")


def test_a_step_that_kills_its_pods_ends_in_the_dlq(pods: Pods) -> None:
    guard = pods.start("")
    client = pods.client(guard)
    step = client.submit_one("poison", pods.payload())
    beside = client.submit("hold", [pods.payload()] * 3)
    victims = []
    while pods.step(step).state is not StepState.FAILED:
        victims.append(pods.spawn(**ROOMY))  # it may die before it says that it is ready
        assert victims[-1].exit_status() == -9
        until(lambda: pods.events("pod_dead")[len(victims) - 1 :], "the death is noticed")
        until(lambda: pods.step(step).crashes == len(victims), "the crash is counted")
    assert len(victims) == 3
    found = pods.step(step)
    assert (found.cause, found.crashes, found.failures) == (Cause.CRASHED, 3, 0)
    assert [(a.attempt, a.cause) for a in found.attempts] == [(n, Cause.CRASHED) for n in (1, 2, 3)]
    assert [a.holder for a in found.attempts] == [pods.holder_of(p).holder_id for p in victims]
    assert [dead.step_id for dead in client.dead()] == [int(step)]
    assert guard.alive
    pods.go_on()
    pods.start(**ROOMY)
    assert client.wait(beside, timeout=60).completed == 3, "those beside the poison are innocent"


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
def test_a_pod_that_dies_in_the_middle_of_things_loses_nothing(pods: Pods, point: str) -> None:
    victim = pods.spawn(failpoints=f"{point}=kill@6", heartbeat_interval_seconds=0.2, **ROOMY)
    other = pods.start(**ROOMY)
    client = pods.client(other)
    steps = []
    while victim.alive:
        steps.append(client.submit_one("other-note", pods.payload()))
        client.wait(steps[-1:], timeout=60, strict=True)
    assert victim.exit_status() == -9
    assert pods.ends() == Counter(steps)


def test_a_pod_that_dies_as_it_becomes_leader_leaves_a_fleet_that_works(pods: Pods) -> None:
    victim = pods.spawn(failpoints="leader.elected=kill", **ROOMY)
    assert victim.exit_status() == -9
    other = pods.start(**ROOMY)
    client = pods.client(other)
    step = client.submit_one("note", pods.payload())
    assert client.wait([step], timeout=60).completed == 1
    assert pods.leader() is other
    assert pods.reader.leadership().term == 2
