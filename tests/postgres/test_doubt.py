"""A COMMIT whose answer is lost: whether it counts is found out, and nothing is stranded."""

import pytest

from fleetq_server.errors import StoreUnavailable
from fleetq_server.model import Claim, HolderKey, NewStep, StepState
from fleetq_server.store.base import ClaimSteps, Submit
from fleetq_server.store.postgres.store import PostgresStore, _Doubt
from tests.postgres.relay import CutAtCommit, behind
from tests.store.driver import Driver


class Standing:
    def __init__(self, holder: HolderKey) -> None:
        self._op = ClaimSteps(holder, 5)
        self.taken: list[Claim] = []

    def wanted(self, _contended: bool = False) -> ClaimSteps:
        return self._op

    def granted(self, claims: list[Claim]) -> None:
        self.taken = claims

    def deliver(self, claims: list[Claim]) -> None:
        raise AssertionError("there is no event loop")


def test_claims_nobody_heard_of_are_claimed_again_by_a_holder_that_lives(url: str) -> None:
    direct = Driver(url)
    with behind(CutAtCommit, url) as (relay, through):
        assert isinstance(relay, CutAtCommit)
        fleet = Driver(through)
        pod = fleet.join("pod")
        steps = fleet.submit(NewStep("a"), NewStep("a"))
        standing = Standing(pod)
        relay.armed = True
        with pytest.raises(StoreUnavailable):
            fleet.store.apply([], [standing], now=fleet.now)
        assert standing.taken == []
        assert {direct.state(step) for step in steps} == {StepState.CLAIMED}
        relay.closed = True  # a server that is only just starting
        with pytest.raises(StoreUnavailable):
            fleet.store.apply([], [standing], now=fleet.now)
        relay.closed = False
        fleet.store.apply([], [standing], now=fleet.now)
        assert sorted(claim.step_id for claim in standing.taken) == steps
        assert {claim.attempt for claim in standing.taken} == {1}
        fleet.complete(*standing.taken)
        fleet.close()
    direct.assert_sound()
    assert direct.counts.completed == 2
    direct.close()


def test_a_server_that_crashed_may_have_forgotten_the_number_of_a_transaction(url: str) -> None:
    fleet = Driver(url)
    store = fleet.store
    assert isinstance(store, PostgresStore)
    store._doubts.append(_Doubt(str(10**9), [], []))
    assert len(fleet.submit(NewStep("a"))) == 1
    fleet.close()


def test_a_submit_nobody_heard_of_counts_once_when_it_is_repeated(url: str) -> None:
    direct = Driver(url)
    with behind(CutAtCommit, url) as (relay, through):
        assert isinstance(relay, CutAtCommit)
        fleet = Driver(through)
        relay.armed = True
        submit = Submit([NewStep("a")], "request")
        with pytest.raises(StoreUnavailable):
            fleet.do(submit)
        assert len(fleet.do(submit)) == 1
        fleet.close()
    assert direct.counts.submitted == 1
    direct.assert_sound()
    direct.close()
