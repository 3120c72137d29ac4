"""What is submitted is there, once, under an id of its own."""

from collections.abc import Callable
from typing import cast

import pytest

from fleetq_server import failpoints
from fleetq_server.errors import FleetError, IdempotencyConflict, StoreUnavailable
from fleetq_server.model import (
    DeadFilter,
    HolderKey,
    NewStep,
    Result,
    RetryPolicy,
    StepId,
    StepState,
)
from fleetq_server.store.base import ClaimSteps, Purge, Submit
from tests.store.driver import START, Driver

FULL = NewStep(
    kind="resize",
    payload=bytes(range(256)),
    queue="images",
    metadata={"trace": "ü", "b": ""},
    priority=-7,
    run_at=START + 60,
    timeout=2.5,
    retry=RetryPolicy(5, 0.5, 3.0, 9.0, 0.0, ("KeyError", "OSError")),
    idempotency_key="once",
)


def test_all_that_was_submitted_is_read_back(fleet: Driver) -> None:
    (step_id,) = fleet.submit(FULL)
    step = fleet.step(step_id)
    given = {name: getattr(step, name) for name in NewStep._fields}
    assert given == FULL._asdict()
    assert (step.state, step.created_at, step.attempt) == (StepState.SCHEDULED, START, 0)


def test_what_is_acknowledged_is_there_when_the_store_is_opened_again(
    fleet: Driver, open_driver: Callable[..., Driver]
) -> None:
    step_ids = fleet.submit(NewStep("a"), NewStep("b"))
    fleet.close()
    again = open_driver()
    assert [again.step(step_id).kind for step_id in step_ids] == ["a", "b"]
    fleet.reader = again.reader


def test_ids_grow_and_are_in_the_order_of_the_steps(fleet: Driver) -> None:
    first = fleet.submit(NewStep("a"), NewStep("b"))
    second = fleet.submit(NewStep("c"))
    assert first + second == sorted(first + second)
    assert [fleet.step(step_id).kind for step_id in first + second] == ["a", "b", "c"]


def test_an_id_is_never_used_again_even_when_the_newest_step_is_purged(
    fleet: Driver, pod: HolderKey
) -> None:
    (gone,) = fleet.bury(NewStep("a"), holder=pod)
    assert fleet.do(Purge(DeadFilter())) == [gone]
    (new,) = fleet.submit(NewStep("a"))
    assert new > gone


def test_the_same_request_again_gives_the_first_answer_and_no_new_step(fleet: Driver) -> None:
    steps = (NewStep("a"), NewStep("a", idempotency_key="k"), NewStep("a", idempotency_key="k"))
    first = fleet.do(Submit(steps, "request"))
    fleet.later(100)
    assert fleet.do(Submit(steps, "request")) == first
    assert fleet.counts.submitted == 2
    assert fleet.do(Submit(steps, "another request")) != first


def test_a_submit_of_nothing_answers_nothing_and_is_a_request_like_others(fleet: Driver) -> None:
    assert fleet.do(Submit([])) == []
    assert [fleet.do(Submit([], "request")) for _ in range(2)] == [[], []]
    with pytest.raises(IdempotencyConflict):
        fleet.submit(NewStep("a"), request_id="request")
    assert fleet.reader.stats().totals.submitted == 0


def test_the_same_request_with_other_content_is_refused(fleet: Driver) -> None:
    fleet.submit(NewStep("a"), request_id="request")
    with pytest.raises(IdempotencyConflict):
        fleet.submit(NewStep("b"), request_id="request")
    assert fleet.counts.submitted == 1


def test_the_same_key_is_the_same_step_for_ever(fleet: Driver, pod: HolderKey) -> None:
    step = NewStep("a", b"1", idempotency_key="k")
    (first,) = fleet.submit(step)
    assert fleet.do(Submit([step]))[0] == (first, True)
    fleet.complete(fleet.claim_one(pod), result=b"42")
    fleet.later(1000)
    assert fleet.do(Submit([step]))[0] == (first, True)
    assert fleet.step(first).result == Result(b"42", False)


def test_the_same_key_in_one_batch_is_one_step(fleet: Driver) -> None:
    step = NewStep("a", idempotency_key="k")
    answer = fleet.do(Submit([step, NewStep("b"), step]))
    assert [one.deduplicated for one in answer] == [False, False, True]
    assert answer[0].step_id == answer[2].step_id
    assert fleet.counts.submitted == 2


def test_a_key_belongs_to_its_queue(fleet: Driver) -> None:
    here = NewStep("a", queue="here", idempotency_key="k")
    there = NewStep("a", queue="there", idempotency_key="k")
    assert len(set(fleet.submit(here, there))) == 2


@pytest.mark.parametrize(
    "other",
    [
        NewStep("a", b"2", idempotency_key="k"),
        NewStep("b", b"1", idempotency_key="k"),
        NewStep("a", b"1", priority=1, idempotency_key="k"),
        NewStep("a", b"1", metadata={"x": "y"}, idempotency_key="k"),
        NewStep("a", b"1", retry=RetryPolicy(max_attempts=9), idempotency_key="k"),
    ],
)
def test_the_same_key_with_other_content_is_refused_and_nothing_of_the_batch_is_kept(
    fleet: Driver, other: NewStep
) -> None:
    fleet.submit(NewStep("a", b"1", idempotency_key="k"))
    with pytest.raises(IdempotencyConflict, match="'k'"):
        fleet.submit(NewStep("new"), other, NewStep("new"))
    assert fleet.counts.submitted == 1


def test_a_refusal_concerns_its_own_call_alone(fleet: Driver) -> None:
    """Calls of strangers share a transaction; one's mistake must not undo another's work."""
    fleet.submit(NewStep("a", idempotency_key="k"))
    good, bad = Submit([NewStep("good")]), Submit([NewStep("bad", idempotency_key="k")])
    answers = fleet.apply(good, bad, good).answers
    assert isinstance(answers[1], FleetError)
    assert [isinstance(answer, list) for answer in answers] == [True, False, True]
    assert fleet.counts.submitted == 3


@pytest.mark.parametrize(
    "place", ["before_begin", "between_statements", "between_ops", "before_commit"]
)
def test_a_group_that_could_not_be_written_leaves_no_trace(
    fleet: Driver, pod: HolderKey, place: str
) -> None:
    before = fleet.recorded()
    new = Submit([NewStep("new kind", queue="new queue", idempotency_key="k")], "r")
    failpoints.arm(
        f"store.{place}=raise@2" if place.startswith("between") else f"store.{place}=raise"
    )
    with pytest.raises(StoreUnavailable):
        fleet.apply(new, new, ClaimSteps(pod, 1))
    failpoints.disarm()
    assert fleet.recorded() == before
    (submitted,) = fleet.do(new)
    assert fleet.claim_one(pod, kinds=("new kind",)).step_id == submitted.step_id


def test_a_bug_is_not_called_an_outage(fleet: Driver) -> None:
    """Or every client would repeat the call for ever. Its group leaves no trace either."""
    before = fleet.recorded()
    text_for_bytes = NewStep("bad", payload=cast(bytes, "text"))
    with pytest.raises(Exception, match=r"\w") as caught:
        fleet.apply(Submit([NewStep("good")]), Submit([text_for_bytes]))
    assert not isinstance(caught.value, FleetError)
    assert fleet.recorded() == before
    fleet.submit(NewStep("good"))


def test_a_scheduled_step_waits_for_its_time_and_says_when_that_is(
    fleet: Driver, pod: HolderKey
) -> None:
    applied = fleet.apply(
        Submit([NewStep("late", run_at=START + 10), NewStep("later", run_at=START + 20)])
    )
    assert (applied.next_due, applied.made_ready) == (START + 10, False)
    assert fleet.claim(pod, 5) == []
    fleet.later(9.999)
    assert fleet.claim(pod, 5) == []
    fleet.later(0.001)
    assert [claim.kind for claim in fleet.claim(pod, 5)] == ["late"]
    fleet.later(10)
    assert [claim.kind for claim in fleet.claim(pod, 5)] == ["later"]


def test_a_time_in_the_past_is_now(fleet: Driver) -> None:
    (step_id,) = fleet.submit(NewStep("a", run_at=START - 1))
    assert fleet.state(step_id) is StepState.PENDING


def test_steps_that_never_were_are_unknown(fleet: Driver) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    never = StepId(step_id + 1)
    assert fleet.reader.unknown([never, step_id]) == [never]
    assert fleet.reader.get_step(never) is None
    assert fleet.cancel(never) == [None]
