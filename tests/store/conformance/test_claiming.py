"""At most one live claim per step; who gets which step, and when."""

from collections.abc import Callable

import pytest

from fleetq_server.errors import LeaseLost
from fleetq_server.model import Claim, HolderKey, HolderType, NewStep, StepState
from fleetq_server.store.base import ClaimSteps, Leave, SetPaused, Submit, Suspect
from tests.store.driver import START, Driver, ids


def test_a_claim_carries_all_a_handler_needs(fleet: Driver, pod: HolderKey) -> None:
    step = NewStep("a", b"p", "q", {"m": "1"}, 3, timeout=9.0, idempotency_key="k")
    (step_id,) = fleet.submit(step)
    fleet.later(5)
    claim = fleet.claim_one(pod)
    assert claim == Claim(
        step_id, claim.fence, "a", "q", b"p", {"m": "1"}, "k", 1, 3, 9.0, START, START + 5
    )
    assert (fleet.state(step_id), fleet.step(step_id).holder) == (
        StepState.CLAIMED,
        fleet.holder("pod").holder_id,
    )


def test_no_two_claims_share_a_step(fleet: Driver, pod: HolderKey, other: HolderKey) -> None:
    step_ids = fleet.submit(*[NewStep("a")] * 30)
    claims = [
        claim for _ in range(5) for holder in (pod, other) for claim in fleet.claim(holder, 4)
    ]
    assert sorted(ids(claims)) == step_ids


def test_two_claims_in_one_transaction_share_no_step(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    step_ids = fleet.submit(*[NewStep("a")] * 5)
    first, second = fleet.apply(ClaimSteps(pod, 3), ClaimSteps(other, 9)).answers
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert sorted(ids(first + second)) == step_ids


def test_highest_priority_first_then_oldest(fleet: Driver, pod: HolderKey) -> None:
    priorities = [0, 5, -3, 5, 0, 1000, -1000]
    step_ids = fleet.submit(
        *[NewStep(f"kind{i % 3}", priority=p) for i, p in enumerate(priorities)]
    )
    order = [step_ids[i] for i in (5, 1, 3, 0, 4, 2, 6)]
    assert ids(fleet.claim(pod, 3)) == order[:3]
    assert ids(fleet.claim(pod, 9)) == order[3:]


def test_only_the_kinds_and_queues_asked_for(fleet: Driver, pod: HolderKey) -> None:
    here_a, here_b, there_a = fleet.submit(
        NewStep("a", queue="here"), NewStep("b", queue="here"), NewStep("a", queue="there")
    )
    assert fleet.claim(pod, 9, kinds=("c",)) == []
    assert fleet.claim(pod, 9, kinds=()) == []
    assert fleet.claim(pod, 9, queues=("nowhere",)) == []
    assert ids(fleet.claim(pod, 9, kinds=("a", "c"), queues=("there", "nowhere"))) == [there_a]
    assert ids(fleet.claim(pod, 9, kinds=("a",))) == [here_a]
    assert ids(fleet.claim(pod, 9, queues=("here",))) == [here_b]


def test_very_many_queues_are_all_served(fleet: Driver, pod: HolderKey) -> None:
    step_ids = fleet.submit(*[NewStep("a", queue=f"q{i}") for i in range(150)])
    claimed = [step_id for _ in range(20) for step_id in ids(fleet.claim(pod, 10))]
    assert sorted(claimed) == step_ids


def test_the_same_request_gives_the_same_claims(
    fleet: Driver, pod: HolderKey, open_driver: Callable[..., Driver]
) -> None:
    fleet.submit(*[NewStep(f"kind{i % 2}", priority=i % 3) for i in range(8)])
    first = fleet.claim(pod, 4, request_id="r")
    fleet.later(1)
    assert fleet.claim(pod, 4, request_id="r") == first
    elsewhere = open_driver(seed=99)
    assert elsewhere.claim(pod, 4, request_id="r") == first, "any pod tells a repeat"
    assert fleet.counts.claimed == 4


def test_a_request_belongs_to_its_holder(fleet: Driver, pod: HolderKey, other: HolderKey) -> None:
    fleet.submit(NewStep("a"), NewStep("a"))
    assert ids(fleet.claim(pod, request_id="r")) != ids(fleet.claim(other, request_id="r"))


def test_a_repeat_gives_only_the_claims_that_are_still_live(fleet: Driver, pod: HolderKey) -> None:
    fleet.submit(*[NewStep("a")] * 3)
    first = fleet.claim(pod, 3, request_id="r")
    fleet.complete(first[1])
    assert fleet.claim(pod, 3, request_id="r") == [first[0], first[2]]


@pytest.mark.parametrize("ending", ["fail", "release"])
def test_a_late_repeat_of_a_claim_never_revives_a_token_that_was_used(
    fleet: Driver, pod: HolderKey, ending: str
) -> None:
    """Otherwise the repeat of the first attempt's ending would end the second attempt too."""
    fleet.submit(NewStep("a"))
    first = fleet.claim_one(pod, request_id="r")
    if ending == "fail":
        fleet.fail(first, retry_delay=0.0)
    else:
        fleet.release(first)
    again = fleet.claim(pod, 1, request_id="r")
    assert [claim.token for claim in again if claim.token == first.token] == []


def test_a_paused_queue_gives_nothing_until_it_is_resumed(fleet: Driver, pod: HolderKey) -> None:
    fleet.do(SetPaused("quiet", True))
    quiet, loud = fleet.submit(NewStep("a", queue="quiet"), NewStep("a", queue="loud"))
    assert ids(fleet.claim(pod, 9)) == [loud]
    assert [(q.queue, q.paused) for q in fleet.reader.stats().queues] == [
        ("loud", False),
        ("quiet", True),
    ]
    assert fleet.apply(SetPaused("quiet", False)).made_ready
    assert ids(fleet.claim(pod, 9)) == [quiet]


def test_a_claim_in_a_paused_queue_runs_on(fleet: Driver, pod: HolderKey) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    fleet.do(SetPaused("default", True))
    fleet.complete(claim)
    assert fleet.state(step_id) is StepState.COMPLETED


def test_workers_claim_like_pods(fleet: Driver) -> None:
    worker = fleet.join("worker", HolderType.WORKER)
    fleet.submit(NewStep("a"))
    assert len(fleet.claim(worker)) == 1


def test_whoever_left_claims_nothing(fleet: Driver, pod: HolderKey) -> None:
    fleet.do(Leave(pod))
    with pytest.raises(LeaseLost):
        fleet.claim(pod)


def test_a_claim_takes_over_from_the_dead_without_a_leader(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    (step_id,) = fleet.submit(NewStep("a"))
    fleet.claim_one(pod)
    assert fleet.claim(other) == []
    second = fleet.claim_one(other, expired=(Suspect(pod),))
    assert (second.step_id, second.attempt, fleet.step(step_id).crashes) == (step_id, 2, 1)


class Standing:
    """A claim that waits for work."""

    def __init__(self, holder: HolderKey, capacity: int) -> None:
        self.holder, self.capacity = holder, capacity
        self.claims: list[Claim] = []

    def wanted(self, _contended: bool = False) -> ClaimSteps | None:
        free = self.capacity - len(self.claims)
        return ClaimSteps(self.holder, free) if free else None

    def granted(self, claims: list[Claim]) -> None:
        self.claims.extend(claims)

    def deliver(self, claims: list[Claim]) -> None:
        """Not the store's business."""


def test_standing_claims_take_what_the_same_transaction_made_ready(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    first, second = Standing(pod, 2), Standing(other, 2)
    applied = fleet.store.apply([Submit([NewStep("a")] * 5)], [first, second], now=fleet.now)
    assert (len(first.claims), len(second.claims)) == (2, 2)
    assert applied.left_ready
    assert not fleet.store.claimable([first, second], now=fleet.now)
    first.capacity += 1
    assert fleet.store.claimable([first, second], now=fleet.now)
    fleet.store.apply([], [first, second], now=fleet.now)
    assert (len(first.claims), len(second.claims)) == (3, 2)
    assert len(set(ids(first.claims + second.claims))) == 5


def test_a_standing_claim_sees_that_a_scheduled_step_is_due(fleet: Driver, pod: HolderKey) -> None:
    fleet.submit(NewStep("a", run_at=START + 1))
    standing = Standing(pod, 1)
    assert not fleet.store.claimable([standing], now=START + 0.999)
    assert fleet.store.claimable([standing], now=START + 1)
