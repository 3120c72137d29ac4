"""What is finished is kept for a while and then forgotten, in small batches."""

import pytest

from fleetq_server.model import HolderKey, NewStep, StepId, StepState
from fleetq_server.store.base import Leave, Prune, Pruned, Submit
from tests.store.driver import Driver, ids


@pytest.fixture
def term(fleet: Driver, pod: HolderKey) -> int:
    return fleet.lead(pod)


def finish(fleet: Driver, pod: HolderKey, count: int) -> list[StepId]:
    step_ids = fleet.submit(*[NewStep("a")] * count)
    fleet.complete(*fleet.claim(pod, count))
    return step_ids


def test_only_what_ended_before_the_limit_goes(fleet: Driver, pod: HolderKey, term: int) -> None:
    (dead,) = fleet.bury(NewStep("a"), holder=pod)
    (old,) = finish(fleet, pod, 1)
    (cancelled, waiting) = fleet.submit(NewStep("a"), NewStep("a"))
    fleet.cancel(cancelled)
    held = ids(fleet.claim(pod, 1))
    fleet.later(100)
    (new,) = finish(fleet, pod, 1)
    pruned = fleet.do(Prune(pod, term, before=fleet.now, dead_before=0.0))
    assert pruned == Pruned(2, wrapped=True)
    assert fleet.reader.unknown([dead, old, cancelled, waiting, *held, new]) == [old, cancelled]
    assert fleet.do(Prune(pod, term, before=0.0, dead_before=fleet.now)).deleted == 1
    assert fleet.reader.unknown([dead]) == [dead]
    assert (fleet.counts.pruned, fleet.counts.failed) == (3, 0)


def test_a_batch_looks_at_no_more_than_its_limit(fleet: Driver, pod: HolderKey, term: int) -> None:
    finish(fleet, pod, 5)
    fleet.submit(*[NewStep("waiting", queue="full")] * 5)
    finish(fleet, pod, 0)
    fleet.later(1)
    batches = [fleet.do(Prune(pod, term, fleet.now, 0.0, limit=4)) for _ in range(4)]
    assert batches == [Pruned(4, False), Pruned(1, False), Pruned(0, True), Pruned(0, False)]
    assert (fleet.counts.pruned, fleet.counts.pending) == (5, 5)


def test_a_pruned_key_may_be_used_again_for_a_new_step(
    fleet: Driver, pod: HolderKey, term: int
) -> None:
    step = NewStep("a", idempotency_key="k")
    (old,) = fleet.submit(step)
    fleet.complete(fleet.claim_one(pod))
    fleet.later(1)
    fleet.do(Prune(pod, term, fleet.now, fleet.now))
    ((new, deduplicated),) = fleet.do(Submit([step._replace(payload=b"other")]))
    assert (new > old, deduplicated) == (True, False)


def test_a_request_is_remembered_for_an_hour(fleet: Driver, pod: HolderKey, term: int) -> None:
    (first,) = fleet.submit(NewStep("a"), request_id="r")
    fleet.later(3599)
    fleet.do(Prune(pod, term, fleet.now, fleet.now))
    assert fleet.submit(NewStep("a"), request_id="r") == [first]
    fleet.later(2)
    fleet.do(Prune(pod, term, fleet.now, fleet.now))
    assert fleet.submit(NewStep("a"), request_id="r") != [first]


def test_old_events_go_and_the_newest_stays(fleet: Driver, pod: HolderKey, term: int) -> None:
    for _ in range(5):
        fleet.submit(NewStep("a"))
    newest = fleet.events()[-1]
    fleet.later(5000)
    for _ in range(10):
        fleet.do(Prune(pod, term, fleet.now, 0.0, limit=2))
    assert fleet.events() == [newest]
    fleet.submit(NewStep("a"))
    assert [event.seq for event in fleet.events()] == [newest.seq, newest.seq + 1]


def test_a_holder_is_forgotten_once_it_is_gone_and_holds_nothing(
    fleet: Driver, pod: HolderKey, term: int
) -> None:
    for name in ("gone", "dead", "swept"):
        fleet.join(name)
    fleet.submit(NewStep("a"), NewStep("a"))
    keys = {name: fleet.holder(name).key for name in ("gone", "dead", "swept")}
    fleet.do(Leave(keys["gone"]))
    fleet.claim(keys["dead"], 2)
    fleet.kill(pod, term, keys["swept"])
    fleet.kill(pod, term, keys["dead"], limit=1)
    fleet.later(1)
    fleet.do(Prune(pod, term, fleet.now, 0.0))
    assert {holder.name for holder in fleet.reader.holders(include_ended=True)} == {"pod", "dead"}


def test_the_living_are_never_forgotten(fleet: Driver, pod: HolderKey, term: int) -> None:
    fleet.later(1_000_000)
    fleet.do(Prune(pod, term, fleet.now, fleet.now))
    assert [holder.name for holder in fleet.reader.holders()] == ["pod"]


def test_a_step_outlives_the_holder_that_ran_it(fleet: Driver, pod: HolderKey, term: int) -> None:
    worker = fleet.join("worker")
    (step_id,) = fleet.submit(NewStep("a"))
    fleet.fail(fleet.claim_one(worker))
    fleet.do(Leave(worker))
    fleet.later(10)
    fleet.do(Prune(pod, term, fleet.now, 0.0))
    assert fleet.step(step_id).attempts[0].holder.startswith(b"worker".hex())
    assert fleet.state(step_id) is StepState.SCHEDULED
