"""An attempt ends once, by whoever holds its token; everybody else learns why not."""

from collections.abc import Callable
from typing import Any

import pytest

from fleetq_server.model import (
    Cause,
    Claim,
    Completion,
    Failure,
    HolderKey,
    NewStep,
    Progress,
    Result,
    RetryPolicy,
    StepId,
    StepState,
    Verdict,
)
from fleetq_server.store.base import Beat, Complete, ExpireAttempts, Fail
from tests.store.driver import START, Driver, given_back, stale

SURE = RetryPolicy(max_attempts=3, initial_delay=1.0, multiplier=2.0, jitter=0.0)

Write = Callable[[Driver, Claim], list[Verdict]]
WRITES: dict[str, Write] = {
    "complete": lambda fleet, claim: fleet.complete(claim, result=b"late"),
    "fail": lambda fleet, claim: fleet.fail(claim),
    "fail for good": lambda fleet, claim: fleet.fail(claim, retryable=False),
    "release": lambda fleet, claim: fleet.release(claim),
}
each_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


def assert_refused(fleet: Driver, write: Write, claim: Claim, reason: Verdict) -> None:
    before = fleet.recorded()
    assert write(fleet, claim) == [reason]
    assert fleet.recorded() == before, "a late write changes nothing"


def asked(fleet: Driver, holder: HolderKey, claim: Claim) -> Verdict:
    verdict: Verdict = fleet.do(Beat(holder, ask=[given_back(claim)])).verdicts[0]
    return verdict


# --- the four reasons ---


@each_write
def test_a_step_that_somebody_else_holds_is_superseded(
    fleet: Driver, pod: HolderKey, other: HolderKey, write: Write
) -> None:
    fleet.submit(NewStep("a"))
    first = fleet.claim_one(pod)
    fleet.kill(other, fleet.take_over(other, pod))
    second = fleet.claim_one(other)
    assert_refused(fleet, write, first, Verdict.SUPERSEDED)
    assert fleet.complete(second) == [Verdict.OK]
    assert_refused(fleet, write, first, Verdict.FINISHED)


@each_write
def test_a_dead_holders_claim_is_expired(
    fleet: Driver, pod: HolderKey, other: HolderKey, write: Write
) -> None:
    fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.kill(other, fleet.take_over(other, pod))
    assert_refused(fleet, write, claim, Verdict.EXPIRED)


@each_write
def test_an_attempt_that_ran_out_of_time_is_expired(
    fleet: Driver, pod: HolderKey, write: Write
) -> None:
    term = fleet.lead(pod)
    fleet.submit(NewStep("a", timeout=5))
    claim = fleet.claim_one(pod)
    fleet.later(7)
    assert fleet.do(ExpireAttempts(pod, term)) == 1
    assert asked(fleet, pod, claim) is Verdict.EXPIRED
    assert_refused(fleet, write, claim, Verdict.EXPIRED)


@each_write
def test_a_step_that_was_cancelled_is_cancelled(
    fleet: Driver, pod: HolderKey, other: HolderKey, write: Write
) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.cancel(step_id)
    fleet.kill(other, fleet.take_over(other, pod))
    assert_refused(fleet, write, claim, Verdict.CANCELLED)


@each_write
def test_an_attempt_that_already_ended_is_finished(
    fleet: Driver, pod: HolderKey, write: Write
) -> None:
    fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    endings = {"complete": fleet.fail, "fail": fleet.complete}
    other_ending = endings[
        "fail" if write in (WRITES["fail"], WRITES["fail for good"]) else "complete"
    ]
    assert other_ending(claim) == [Verdict.OK]
    assert asked(fleet, pod, claim) is Verdict.FINISHED
    assert_refused(fleet, write, claim, Verdict.FINISHED)


@each_write
def test_a_token_that_was_never_given_changes_nothing(
    fleet: Driver, pod: HolderKey, write: Write
) -> None:
    fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    assert_refused(fleet, write, stale(claim), Verdict.SUPERSEDED)
    assert_refused(fleet, write, claim._replace(step_id=StepId(99)), Verdict.FINISHED)
    assert asked(fleet, pod, claim) is Verdict.OK
    assert fleet.complete(claim) == [Verdict.OK]


# --- outcomes ---


def test_the_first_outcome_is_the_only_one(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.later(3)
    assert fleet.complete(claim, result=b"first") == [Verdict.OK]
    assert fleet.complete(claim, result=b"second") == [Verdict.OK], "a repeat is no failure"
    step = fleet.step(step_id)
    assert (step.result, step.finished_at) == (Result(b"first", False), START + 3)
    (ended,) = fleet.reader.ended([step_id])
    assert (ended.state, ended.result) == (StepState.COMPLETED, step.result)


@each_write
def test_the_same_ending_again_gets_the_same_answer_and_changes_nothing(
    fleet: Driver, pod: HolderKey, write: Write
) -> None:
    fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    assert write(fleet, claim) == [Verdict.OK]
    assert_refused(fleet, write, claim, Verdict.OK)


def test_a_repeated_failure_is_recognised_after_the_step_was_cancelled(
    fleet: Driver, pod: HolderKey
) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.fail(claim)
    assert fleet.cancel(step_id) == [StepState.CANCELLED]
    assert_refused(fleet, WRITES["fail"], claim, Verdict.OK)
    assert_refused(fleet, WRITES["complete"], claim, Verdict.CANCELLED)


def test_a_repeated_failure_is_recognised_after_somebody_else_claimed_the_step(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.fail(claim, retry_delay=0.0)
    fleet.claim_one(other)
    assert_refused(fleet, WRITES["fail"], claim, Verdict.OK)
    assert_refused(fleet, WRITES["complete"], claim, Verdict.SUPERSEDED)


def test_verdicts_come_in_the_order_of_the_items(fleet: Driver, pod: HolderKey) -> None:
    fleet.submit(*[NewStep("a")] * 4)
    one, two, three, four = fleet.claim(pod, 4)
    fleet.fail(two)
    verdicts = fleet.complete(four, stale(three), two, one, four)
    OK = Verdict.OK
    assert verdicts == [OK, Verdict.SUPERSEDED, Verdict.FINISHED, OK, OK]
    assert fleet.counts.completed == 2


def test_an_old_and_a_new_token_of_one_step_in_one_call_are_told_apart(
    fleet: Driver, pod: HolderKey
) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    old = fleet.claim_one(pod)
    fleet.release(old)
    new = fleet.claim_one(pod)
    items = [Completion(new.step_id, new.fence, Result(b"new", False))]
    items.append(Completion(old.step_id, old.fence, Result(b"old", False)))
    assert fleet.do(Complete(items)) == [Verdict.OK, Verdict.FINISHED]
    assert fleet.step(step_id).result == Result(b"new", False)


# --- failures ---


def test_failures_are_retried_ever_later_and_then_buried(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a", retry=SURE))
    for number, delay in ((1, 1.0), (2, 2.0)):
        assert fleet.fail(fleet.claim_one(pod)) == [Verdict.OK]
        step = fleet.step(step_id)
        assert (step.state, step.failures, step.run_at) == (
            StepState.SCHEDULED,
            number,
            fleet.now + delay,
        )
        fleet.later(delay)
    fleet.fail(fleet.claim_one(pod), error="LastError")
    step = fleet.step(step_id)
    assert (step.state, step.cause, step.error) == (
        StepState.FAILED,
        Cause.HANDLER_ERROR,
        "LastError",
    )
    assert [(a.attempt, a.error) for a in step.attempts] == [
        (1, "ValueError"),
        (2, "ValueError"),
        (3, "LastError"),
    ]
    assert fleet.claim(pod, 9) == []


def test_jitter_spreads_retries_within_its_bounds(fleet: Driver, pod: HolderKey) -> None:
    policy = RetryPolicy(initial_delay=10.0, jitter=0.5)
    step_ids = fleet.submit(*[NewStep("a", retry=policy)] * 50)
    fleet.fail(*fleet.claim(pod, 50))
    delays = {(fleet.step(step_id).run_at or 0.0) - fleet.now for step_id in step_ids}
    assert len(delays) > 10
    assert 5.0 <= min(delays) < 10.0 < max(delays) <= 15.0


def test_a_failure_may_name_its_own_delay(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    fleet.fail(fleet.claim_one(pod), retry_delay=77.0)
    assert fleet.step(step_id).run_at == fleet.now + 77.0
    fleet.later(77)
    assert fleet.apply(
        Fail([Failure(*fleet.claim_one(pod)[:2], Cause.TIMEOUT, "T", "", True, 0.0)])
    ).made_ready
    assert fleet.state(step_id) is StepState.PENDING


@pytest.mark.parametrize(
    ("policy", "failure"),
    [
        (RetryPolicy(max_attempts=1), {}),
        (RetryPolicy(non_retryable=("KeyError", "TypeError")), {"error": "TypeError"}),
        (RetryPolicy(), {"retryable": False}),
    ],
)
def test_some_failures_are_final(
    fleet: Driver, pod: HolderKey, policy: RetryPolicy, failure: dict[str, Any]
) -> None:
    (step_id,) = fleet.submit(NewStep("a", retry=policy))
    fleet.fail(fleet.claim_one(pod), **failure)
    assert fleet.state(step_id) is StepState.FAILED


def test_a_release_does_not_spend_an_attempt(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a", retry=RetryPolicy(max_attempts=1)))
    for _ in range(3):
        claim = fleet.claim_one(pod)
        assert claim.attempt == 1
        fleet.release(claim)
    step = fleet.step(step_id)
    assert (step.state, step.attempt, step.failures, step.attempts) == (StepState.PENDING, 0, 0, ())


# --- time and progress ---


def test_an_attempt_past_its_timeout_and_grace_fails_as_timeout(
    fleet: Driver, pod: HolderKey
) -> None:
    term = fleet.lead(pod)
    step_id, patient = fleet.submit(NewStep("a", timeout=5, retry=SURE), NewStep("a"))
    fleet.claim(pod, 2)
    fleet.later(6)
    assert fleet.do(ExpireAttempts(pod, term, grace=1.0)) == 0
    fleet.later(0.001)
    assert fleet.do(ExpireAttempts(pod, term, grace=1.0)) == 1
    step = fleet.step(step_id)
    assert (step.state, step.failures) == (StepState.SCHEDULED, 1)
    assert [(a.cause, a.holder) for a in step.attempts] == [
        (Cause.TIMEOUT, fleet.holder("pod").holder_id)
    ]
    assert fleet.state(patient) is StepState.CLAIMED


def test_a_bounded_number_of_attempts_expires_at_once(fleet: Driver, pod: HolderKey) -> None:
    term = fleet.lead(pod)
    fleet.submit(*[NewStep("a", timeout=1)] * 5)
    fleet.claim(pod, 5)
    fleet.later(10)
    assert [fleet.do(ExpireAttempts(pod, term, limit=2)) for _ in range(4)] == [2, 2, 1, 0]


def test_progress_needs_the_token(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)

    def tell(token: Claim, data: bytes) -> None:
        assert fleet.do(Beat(pod, progress=[Progress(token.step_id, token.fence, data)])).alive

    tell(claim, b"1/3")
    tell(claim, b"2/3")
    tell(stale(claim), b"9/3")
    assert fleet.step(step_id).progress == b"2/3"
    fleet.complete(claim)
    tell(claim, b"4/3")
    assert fleet.step(step_id).progress == b"2/3"
