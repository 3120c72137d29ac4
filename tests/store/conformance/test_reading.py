"""Listings, counters and events tell what was done, in order."""

from typing import Any

from fleetq_server.model import HolderKey, NewStep, RetryPolicy, StepFilter, StepId, StepState
from fleetq_server.store.base import ClaimSteps, Complete, Leave, ReleaseSteps, SetPaused, Submit
from tests.store.driver import Driver, boot_id, given_back, ids


def test_steps_are_listed_newest_first_in_pages(fleet: Driver) -> None:
    step_ids = fleet.submit(*[NewStep("a")] * 7)
    pages: list[StepId] = []
    after: StepId | None = None
    while page := fleet.reader.list_steps(StepFilter(), after, 3):
        pages += [step.step_id for step in page]
        after = page[-1].step_id
    assert pages == step_ids[::-1]


def test_a_listing_filters_by_queue_kind_and_state(fleet: Driver, pod: HolderKey) -> None:
    xa, xb, ya = fleet.submit(
        NewStep("a", queue="x"), NewStep("b", queue="x"), NewStep("a", queue="y")
    )
    fleet.complete(fleet.claim_one(pod, kinds=("b",)))

    def found(**wanted: Any) -> list[StepId]:
        return [step.step_id for step in fleet.reader.list_steps(StepFilter(**wanted), None, 9)]

    assert found(queue="x") == [xb, xa]
    assert found(kind="a") == [ya, xa]
    assert found(queue="x", kind="a") == [xa]
    assert found(states=frozenset({StepState.COMPLETED})) == [xb]
    assert found(states=frozenset({StepState.PENDING, StepState.FAILED}), queue="y") == [ya]
    assert found(queue="nowhere") == []


def test_counters_are_kept_by_queue_and_add_up(fleet: Driver, pod: HolderKey) -> None:
    fleet.submit(*[NewStep("a", queue="x")] * 3, *[NewStep("b", queue="y")] * 2)
    fleet.do(SetPaused("z", True))
    fleet.complete(*fleet.claim(pod, 1, queues=("x",)))
    stats = fleet.reader.stats()
    assert [(q.queue, q.paused, q.counts.submitted, q.counts.completed) for q in stats.queues] == [
        ("x", False, 3, 1),
        ("y", False, 2, 0),
        ("z", True, 0, 0),
    ]
    assert (stats.totals.submitted, stats.totals.pending, stats.totals.completed) == (5, 4, 1)
    assert stats.live_pods == 1
    assert stats.totals.conserved


def test_the_version_changes_when_somebody_else_writes(fleet: Driver) -> None:
    before = fleet.reader.version()
    assert fleet.reader.version() == before
    fleet.submit(NewStep("a"))
    assert fleet.reader.version() != before


def test_a_steps_life_is_told_in_order(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    fleet.release(fleet.claim_one(pod))
    fleet.fail(fleet.claim_one(pod), retry_delay=0.0)
    fleet.complete(fleet.claim_one(pod))
    told = [event for event in fleet.events() if step_id in event.step_ids]
    assert [event.type for event in told] == [
        "submitted", "claimed", "released", "claimed", "retrying", "claimed", "completed"
    ]  # fmt: skip
    assert {event.queue for event in told} == {"default"}
    assert {event.holder for event in told if event.type == "claimed"} == {boot_id("pod")}


def test_events_tell_who_let_go_and_why(fleet: Driver, pod: HolderKey) -> None:
    """What a judge needs who has only the journal."""
    retry = RetryPolicy(initial_delay=2.0, multiplier=1.0, jitter=0.0)
    fleet.submit(*[NewStep("a", retry=retry)] * 5)
    given, left, retried, chosen, died = fleet.claim(pod, 5)
    fleet.release(given)
    fleet.fail(retried)
    fleet.fail(chosen, retry_delay=0.25)
    fleet.fail(died, error="Poison", retryable=False)
    fleet.do(Leave(pod))
    told = {event.step_ids[0]: event for event in fleet.events() if event.holder and event.step_ids}
    broke = {"cause": "handler_error", "error": "ValueError"}
    assert {(told[c.step_id].type, told[c.step_id].holder) for c in (given, left)} == {
        ("released", boot_id("pod"))
    }
    assert told[retried.step_id].detail == {**broke, "delay": 2.0, "delay_by": "policy"}
    assert told[chosen.step_id].detail == {**broke, "delay": 0.25, "delay_by": "holder"}
    assert (told[died.step_id].type, told[died.step_id].detail) == (
        "dead",
        {"cause": "handler_error", "error": "Poison", "retryable": "false"},
    )


def test_one_transactions_steps_with_one_fate_are_one_event(fleet: Driver, pod: HolderKey) -> None:
    first = fleet.submit(*[NewStep("a")] * 3, *[NewStep("b")] * 2)
    fleet.complete(*fleet.claim(pod, 4))
    assert [(event.type, event.step_ids) for event in fleet.events() if event.step_ids] == [
        ("submitted", tuple(first)),
        ("claimed", tuple(first[:4])),
        ("completed", tuple(first[:4])),
    ]


def test_events_of_one_transaction_keep_each_steps_order(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    fleet.submit(NewStep("a"), NewStep("a"))
    held = fleet.claim_one(pod)
    new = Submit([NewStep("a")])
    fleet.apply(
        ClaimSteps(other, 1),
        ReleaseSteps([given_back(held)]),
        new,
        ClaimSteps(other, 9),
        Complete([]),
    )
    for step_id in [*ids(fleet.claim(pod, 9)), held.step_id, StepId(held.step_id + 2)]:
        told = [event.type for event in fleet.events() if step_id in event.step_ids]
        assert told[-1] == "claimed"


def test_events_are_read_on_from_any_place(fleet: Driver) -> None:
    for _ in range(5):
        fleet.submit(NewStep("a"))
    everything = fleet.reader.events(0, 100)
    assert fleet.reader.events(everything[1].seq, 2) == everything[2:4]
    assert fleet.reader.events(-1, 9) == everything[-1:]
    assert fleet.reader.events(everything[-1].seq, 9) == []
