"""The DLQ: found by filter, redriven once, purged for good."""

import pytest

from fleetq_server.errors import IdempotencyConflict
from fleetq_server.model import Cause, DeadFilter, HolderKey, NewStep, StepId, StepState
from fleetq_server.store.base import Purge, Redrive
from tests.store.driver import EVERYTHING, START, Driver


@pytest.fixture
def dead(fleet: Driver, pod: HolderKey) -> list[StepId]:
    """Four dead steps, ten seconds apart."""
    found = []
    for kind, queue, cause, error in (
        ("a", "x", Cause.HANDLER_ERROR, "KeyError"),
        ("b", "x", Cause.TIMEOUT, "Timeout"),
        ("a", "y", Cause.HANDLER_ERROR, "OSError"),
        ("b", "y", Cause.UNKNOWN_KIND, "KeyError"),
    ):
        found += fleet.submit(NewStep(kind, queue=queue))
        fleet.fail(fleet.claim_one(pod), cause=cause, error=error, retryable=False)
        fleet.later(10)
    return found


FILTERS = [
    (DeadFilter(), [0, 1, 2, 3]),
    (DeadFilter(queue="x"), [0, 1]),
    (DeadFilter(kind="b"), [1, 3]),
    (DeadFilter(cause=Cause.HANDLER_ERROR), [0, 2]),
    (DeadFilter(error="KeyError"), [0, 3]),
    (DeadFilter(died_before=START + 20), [0, 1]),
    (DeadFilter(died_after=START + 10), [2, 3]),
    (DeadFilter(queue="y", kind="a", error="OSError"), [2]),
    (DeadFilter(queue="nowhere"), []),
]


@pytest.mark.parametrize(("wanted", "chosen"), FILTERS)
def test_a_filter_means_the_same_for_list_redrive_and_purge(
    fleet: Driver, dead: list[StepId], wanted: DeadFilter, chosen: list[int]
) -> None:
    expected = [dead[index] for index in chosen]
    assert [step.step_id for step in fleet.reader.list_dead(wanted, None, 9)] == expected
    before = fleet.recorded()
    assert fleet.do(Redrive(wanted, dry_run=True)) == expected
    assert fleet.do(Purge(wanted, dry_run=True)) == expected
    assert fleet.recorded() == before
    assert fleet.do(Redrive(wanted)) == expected
    assert fleet.counts.pending == len(expected)
    assert fleet.counts.failed == 4 - len(expected)


def test_the_dead_are_counted_by_cause(fleet: Driver, dead: list[StepId]) -> None:
    counts = {Cause.HANDLER_ERROR: 2, Cause.TIMEOUT: 1, Cause.UNKNOWN_KIND: 1}
    assert fleet.reader.dead_causes() == counts
    fleet.do(Purge(DeadFilter(queue="x")))
    assert fleet.reader.dead_causes() == {Cause.HANDLER_ERROR: 1, Cause.UNKNOWN_KIND: 1}


def test_ids_choose_too(fleet: Driver, dead: list[StepId]) -> None:
    wanted = DeadFilter(step_ids=(dead[3], dead[1], StepId(999)))
    assert fleet.do(Redrive(wanted)) == [dead[1], dead[3]]


def test_the_dead_are_listed_in_pages_with_their_history(fleet: Driver, dead: list[StepId]) -> None:
    first = fleet.reader.list_dead(EVERYTHING, None, 3)
    second = fleet.reader.list_dead(EVERYTHING, first[-1].step_id, 3)
    assert [step.step_id for step in first + second] == dead
    assert [(step.cause, step.error, len(step.attempts)) for step in second] == [
        (Cause.UNKNOWN_KIND, "KeyError", 1)
    ]


def test_a_redriven_step_begins_anew_with_its_history(
    fleet: Driver, pod: HolderKey, dead: list[StepId]
) -> None:
    fleet.do(Redrive(DeadFilter(step_ids=(dead[0],))))
    step = fleet.step(dead[0])
    assert (step.state, step.failures, step.cause, step.finished_at) == (
        StepState.PENDING,
        0,
        None,
        None,
    )
    claim = fleet.claim_one(pod)
    assert (claim.step_id, claim.attempt) == (dead[0], 2)
    fleet.fail(claim)
    assert fleet.state(dead[0]) is StepState.SCHEDULED, "it has its retries again"
    assert [attempt.attempt for attempt in fleet.step(dead[0]).attempts] == [1, 2]


def test_the_oldest_are_redriven_first(fleet: Driver, dead: list[StepId]) -> None:
    assert fleet.do(Redrive(EVERYTHING, limit=3)) == dead[:3]
    assert fleet.do(Redrive(EVERYTHING, limit=3)) == dead[3:]
    assert fleet.do(Redrive(EVERYTHING)) == []


def test_a_rate_spreads_them_over_time(fleet: Driver, pod: HolderKey, dead: list[StepId]) -> None:
    fleet.do(Redrive(EVERYTHING, rate=2.0))
    assert fleet.counts.pending + fleet.counts.scheduled == 4
    arrivals = []
    for _ in range(4):
        arrivals.append(len(fleet.claim(pod, 9)))
        fleet.later(0.5)
    assert arrivals == [1, 1, 1, 1]


def test_the_same_request_gives_the_same_answer_and_moves_nothing_more(
    fleet: Driver, pod: HolderKey, dead: list[StepId]
) -> None:
    redrive = Redrive(DeadFilter(queue="x"), limit=1, request_id="r")
    assert fleet.do(redrive) == [dead[0]]
    before = fleet.recorded()
    fleet.later(5)
    assert fleet.do(redrive) == [dead[0]]
    assert fleet.recorded() == before
    with pytest.raises(IdempotencyConflict):
        fleet.do(redrive._replace(limit=2))


def test_a_dry_run_uses_up_no_request_id(fleet: Driver, dead: list[StepId]) -> None:
    assert fleet.do(Redrive(EVERYTHING, dry_run=True, request_id="r")) == dead
    assert fleet.do(Redrive(EVERYTHING, request_id="r")) == dead
    assert fleet.counts.failed == 0


def test_a_repeated_purge_takes_nothing_more_along(fleet: Driver, dead: list[StepId]) -> None:
    purge = Purge(EVERYTHING, limit=1, request_id="p")
    assert fleet.do(purge._replace(dry_run=True)) == dead[:1]
    assert [fleet.do(purge) for _ in range(2)] == [dead[:1], dead[:1]]
    assert fleet.reader.unknown(dead) == dead[:1]
    with pytest.raises(IdempotencyConflict):
        fleet.do(purge._replace(limit=2))
    assert fleet.do(Redrive(EVERYTHING, limit=1, request_id="p")) == [dead[1]], "another matter"


def test_a_purged_step_is_gone_and_accounted_for(fleet: Driver, dead: list[StepId]) -> None:
    assert fleet.do(Purge(DeadFilter(kind="a"), limit=1)) == [dead[0]]
    assert fleet.do(Purge(DeadFilter(kind="a"))) == [dead[2]]
    assert fleet.reader.unknown(dead) == [dead[0], dead[2]]
    assert (fleet.counts.submitted, fleet.counts.failed, fleet.counts.pruned) == (4, 2, 2)
