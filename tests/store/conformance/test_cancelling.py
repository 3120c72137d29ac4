"""Cancel: at once where nobody runs the step, through the holder where somebody does."""

import pytest

from fleetq_server.model import HolderKey, NewStep, StepState, Verdict
from fleetq_server.store.base import Beat, Cancel
from tests.store.driver import START, Driver, boot_id, given_back


@pytest.mark.parametrize("run_at", [None, START + 100])
def test_a_waiting_step_is_cancelled_at_once(
    fleet: Driver, pod: HolderKey, run_at: float | None
) -> None:
    (step_id,) = fleet.submit(NewStep("a", run_at=run_at))
    applied = fleet.apply(Cancel([step_id]))
    assert (applied.answers, applied.ended) == ([[StepState.CANCELLED]], [step_id])
    fleet.later(200)
    assert fleet.claim(pod, 9) == []
    assert fleet.step(step_id).finished_at == START


def test_a_claimed_step_is_cancelled_by_its_holder(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    applied = fleet.apply(Cancel([step_id]))
    assert (applied.answers, applied.cancelling) == ([[StepState.CLAIMED]], [boot_id("pod")])
    assert fleet.step(step_id).cancel_requested
    reply = fleet.do(Beat(pod, ask=[given_back(claim)]))
    assert reply.cancels == ((step_id, claim.fence),)
    assert reply.verdicts == (Verdict.CANCEL_REQUESTED,)


@pytest.mark.parametrize("ending", ["release", "fail"])
def test_a_holder_that_gives_up_a_cancelled_step_ends_it(
    fleet: Driver, pod: HolderKey, ending: str
) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.cancel(step_id)
    give_up = fleet.release if ending == "release" else fleet.fail
    assert [give_up(claim), give_up(claim)] == [[Verdict.OK], [Verdict.OK]]
    assert fleet.state(step_id) is StepState.CANCELLED
    assert fleet.complete(claim) == [Verdict.CANCELLED]
    assert fleet.claim(pod) == []


def test_work_that_was_done_before_the_cancel_arrived_counts(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.cancel(step_id)
    assert fleet.complete(claim, result=b"done") == [Verdict.OK]
    assert fleet.state(step_id) is StepState.COMPLETED


def test_what_has_ended_stays_as_it_is(fleet: Driver, pod: HolderKey) -> None:
    (done,) = fleet.submit(NewStep("a"))
    fleet.complete(fleet.claim_one(pod))
    (failed,) = fleet.bury(NewStep("a"), holder=pod)
    (cancelled,) = fleet.submit(NewStep("a"))
    fleet.cancel(cancelled)
    before = fleet.recorded()
    states = fleet.cancel(failed, cancelled, done)
    assert states == [StepState.FAILED, StepState.CANCELLED, StepState.COMPLETED]
    assert fleet.recorded() == before


def test_naming_a_step_twice_cancels_it_once(fleet: Driver) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    assert fleet.cancel(step_id, step_id) == [StepState.CANCELLED] * 2
    assert fleet.counts.cancelled == 1
