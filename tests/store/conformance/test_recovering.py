"""A dead holder's steps run elsewhere, and a step that kills its holders is stopped."""

import pytest

from fleetq_server.model import Cause, HolderKey, NewStep, RetryPolicy, StepState, Verdict
from fleetq_server.store.base import ClaimSteps, Elect, Recover, Suspect
from tests.store.driver import Driver, boot_id, ids


def test_a_dead_holders_steps_are_claimable_again_at_once(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    term = fleet.lead(pod)
    step_ids = fleet.submit(*[NewStep("a")] * 5)
    fleet.claim(other, 3)
    applied = fleet.apply(Recover(pod, term, (Suspect(other),)))
    assert (applied.answers, applied.made_ready) == ([3], True)
    again = fleet.claim(pod, 9)
    assert sorted(ids(again)) == step_ids
    assert sorted(claim.attempt for claim in again) == [1, 1, 2, 2, 2]
    (recovered,) = fleet.events("recovered")
    assert (recovered.step_ids, recovered.holder) == (tuple(step_ids[:3]), boot_id("other"))


def test_the_living_keep_their_claims(fleet: Driver, pod: HolderKey, other: HolderKey) -> None:
    term = fleet.lead(pod)
    third = fleet.join("third")
    fleet.submit(NewStep("a"), NewStep("a"))
    fleet.claim_one(other)
    kept = fleet.claim_one(third)
    assert fleet.kill(pod, term, other) == 1
    assert fleet.complete(kept) == [Verdict.OK]


def test_recovery_goes_on_in_batches_until_none_is_left(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    term = fleet.lead(pod)
    third = fleet.join("third")
    fleet.submit(*[NewStep("a")] * 9)
    fleet.claim(other, 5)
    fleet.claim(third, 4)
    assert fleet.kill(pod, term, other, third, limit=4) == 4
    assert [fleet.kill(pod, term, limit=4) for _ in range(3)] == [4, 1, 0]
    assert fleet.counts.pending == 9


def test_the_next_leader_finishes_an_unfinished_recovery(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    term = fleet.lead(pod)
    third = fleet.join("third")
    fleet.submit(*[NewStep("a")] * 6)
    fleet.claim(third, 6)
    fleet.kill(pod, term, third, limit=2)
    later: int = fleet.do(Elect(other, term, (Suspect(pod),))).term
    assert fleet.kill(other, later) == 4


def test_a_step_that_kills_its_holders_is_buried_as_crashed(fleet: Driver, pod: HolderKey) -> None:
    term = fleet.lead(pod)
    (step_id,) = fleet.submit(NewStep("poison"))
    for crash in range(3):
        assert fleet.state(step_id) is StepState.PENDING
        victim = fleet.join(f"victim{crash}")
        fleet.claim_one(victim)
        fleet.kill(pod, term, victim)
    step = fleet.step(step_id)
    assert (step.state, step.cause, step.crashes, step.failures) == (
        StepState.FAILED,
        Cause.CRASHED,
        3,
        0,
    )
    assert [(attempt.attempt, attempt.cause) for attempt in step.attempts] == [
        (number, Cause.CRASHED) for number in (1, 2, 3)
    ]
    assert fleet.reader.ended([step_id])[0].cause is Cause.CRASHED
    (death,) = fleet.events("dead")
    assert (death.holder, death.detail) == (boot_id("victim2"), {"cause": "crashed"})


def test_crashes_and_failures_are_counted_apart(fleet: Driver, pod: HolderKey) -> None:
    term = fleet.lead(pod)
    policy = RetryPolicy(max_attempts=3, initial_delay=0.0)
    (step_id,) = fleet.submit(NewStep("a", retry=policy))
    for name in ("first", "second"):
        victim = fleet.join(name)
        fleet.claim_one(victim)
        fleet.kill(pod, term, victim)
        fleet.fail(fleet.claim_one(pod))
    step = fleet.step(step_id)
    assert (step.state, step.crashes, step.failures) == (StepState.PENDING, 2, 2)
    fleet.fail(fleet.claim_one(pod))
    assert fleet.step(step_id).cause is Cause.HANDLER_ERROR


def test_a_cancelled_step_does_not_run_again(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    term = fleet.lead(pod)
    (step_id,) = fleet.submit(NewStep("a"))
    fleet.claim_one(other)
    fleet.cancel(step_id)
    applied = fleet.apply(Recover(pod, term, (Suspect(other),)))
    assert applied.ended == [step_id]
    assert fleet.state(step_id) is StepState.CANCELLED


@pytest.mark.parametrize("spared", [False, True])
def test_a_claim_sweeps_a_bounded_number_of_the_dead_ones_steps(
    fleet: Driver, pod: HolderKey, other: HolderKey, spared: bool
) -> None:
    fleet.submit(*[NewStep("a")] * 500)
    fleet.claim(other, 500)
    beats = fleet.holder("other").beats
    suspect = Suspect(other, beats - 1 if spared else beats)
    claims = fleet.do(ClaimSteps(pod, 1000, expired=(suspect,)))
    assert (len(claims) == 0) if spared else (0 < len(claims) < 500)
    if not spared:
        while more := fleet.do(ClaimSteps(pod, 1000, expired=(suspect,))):
            claims.extend(more)
        assert len(set(ids(claims))) == 500


def test_steps_that_crashed_together_are_tried_apart(fleet: Driver, pod: HolderKey) -> None:
    """One of them is poison, the others only stood beside it."""
    term = fleet.lead(pod)
    beside = fleet.submit(*[NewStep("a")] * 3)
    for name in ("first", "second"):
        victim = fleet.join(name)
        assert sorted(ids(fleet.claim(victim, 9))) == beside
        fleet.kill(pod, term, victim)
    (fresh,) = fleet.submit(NewStep("a"))
    one, two = fleet.join("one"), fleet.join("two")
    assert ids(fleet.claim(one, 9)) == [beside[0], fresh]
    assert fleet.claim(one, 9) == []
    (apart,) = fleet.claim(two, 9)
    assert apart.step_id == beside[1]
    fleet.kill(pod, term, one)
    assert fleet.step(beside[0]).cause is Cause.CRASHED
    assert fleet.complete(apart) == [Verdict.OK]
    assert sorted(ids(fleet.claim(two, 9))) == [beside[2], fresh]


def test_lanes_full_of_doubtful_steps_do_not_keep_a_holder_from_the_others(
    fleet: Driver, pod: HolderKey
) -> None:
    """There are more lanes than one claim looks at, and of the first it may take nothing."""
    term = fleet.lead(pod)
    doubtful = fleet.submit(*[NewStep(f"k{number}") for number in range(200)])
    for name in ("first", "second"):
        victim = fleet.join(name)
        assert sum(len(fleet.claim(victim, 200)) for _ in range(4)) == len(doubtful)
        fleet.kill(pod, term, victim)
    (sound,) = fleet.submit(NewStep("sound"))
    found = [step for _ in range(5) for step in ids(fleet.claim(pod, 9))]
    assert sound in found
    assert len(found) == 2, "and one of the doubtful"
