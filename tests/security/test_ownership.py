"""The worker's claims belong to it: no other principal can end them, extend them, or get them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleetq_server.client import Client
from fleetq_server.errors import Forbidden, InvalidArgument, LeaseLost
from fleetq_server.model import (
    Cause,
    Claim,
    Completion,
    Failure,
    HolderStatus,
    Progress,
    Release,
    StepState,
    Verdict,
)
from fleetq_server.rpc.security.tokens import Role
from tests.cluster.fleet import Pods, until
from tests.cluster.launch import Launcher
from tests.security.conftest import Keyring
from tests.store.databases import fresh_database

BOUND = 60.0
HERS = "holder-of-ada"


@pytest.fixture(params=["sqlite", "postgresql"])
def pods(request: pytest.FixtureRequest, tmp_path: Path, launcher: Launcher) -> Iterator[Pods]:
    with ExitStack() as stack:
        url = stack.enter_context(fresh_database()) if request.param == "postgresql" else None
        fleet = Pods(tmp_path, launcher, url)
        stack.callback(fleet.end)
        yield fleet


class Fleet:
    """Two pods. Ada has two tokens; Bob, Root and Sue one each."""

    def __init__(self, pods: Pods, keyring: Keyring) -> None:
        self.tokens = {
            "ada": keyring.add("ada", Role.WORK),
            "bob": keyring.add("bob", Role.WORK),
            "root": keyring.add("root", Role.ADMIN),
            "sue": keyring.add("sue", Role.SUBMIT),
            "ada again": keyring.add("ada", Role.WORK),
        }
        self.pods = pods
        # Ada does not beat; however slow the machine is, she lives.
        patient = {"tokens": keyring.file, "dead_pod_threshold_seconds": 600}
        self.both = pods.start_many(2, "", **patient)

    def client(self, who: str, pod: int = 0) -> Client:
        return self.pods.client(self.both[pod], token=self.tokens[who])

    def claimed_by_ada(self, count: int = 1) -> list[Claim]:
        self.client("sue").submit("k", [{} for _ in range(count)])
        claims = self.client("ada").claim_steps(
            HERS, kinds=["k"], limit=count, request_id="her-claim"
        )
        assert len(claims.claims) == count
        return claims.claims


@pytest.fixture
def fleet(pods: Pods, keyring: Keyring) -> Fleet:
    return Fleet(pods, keyring)


def test_another_principal_cannot_end_or_extend_a_claim_at_any_pod(fleet: Fleet) -> None:
    (claim,) = fleet.claimed_by_ada()
    mine = (claim.step_id, claim.fence)
    for who in ("bob", "root"):
        for pod in (0, 1):
            other = fleet.client(who, pod)
            verdicts = [
                *other.complete_steps([Completion(*mine)]),
                *other.fail_steps([Failure(*mine, Cause.HANDLER_ERROR, "E", "no")]),
                *other.release_steps([Release(*mine)]),
                *other.beat(HERS, progress=[Progress(*mine, b"x")], ask=[Release(*mine)]).verdicts,
            ]
            assert verdicts == [Verdict.SUPERSEDED] * 4
    step = fleet.pods.step(str(claim.step_id))
    assert (step.state, step.failures, step.progress) == (StepState.CLAIMED, 0, None)
    assert fleet.client("ada", 1).complete_steps([Completion(*mine)]) == [Verdict.OK]
    assert fleet.client("ada").complete_steps([Completion(*mine)]) == [Verdict.OK]


def test_a_claim_is_kept_when_its_token_is_replaced(fleet: Fleet) -> None:
    first, second, third = fleet.claimed_by_ada(3)
    renewed = fleet.client("ada again", 1)
    ask = [Release(claim.step_id, claim.fence) for claim in (first, second, third)]
    assert renewed.beat(HERS, ask=ask).verdicts == (Verdict.OK,) * 3
    assert renewed.release_steps(ask[:1]) == [Verdict.OK]
    failure = Failure(second.step_id, second.fence, Cause.HANDLER_ERROR, "E", "no")
    assert renewed.fail_steps([failure]) == [Verdict.OK]
    assert renewed.complete_steps([Completion(third.step_id, third.fence)]) == [Verdict.OK]


def test_the_same_request_of_another_principal_gives_it_none_of_the_claims(fleet: Fleet) -> None:
    claims = fleet.claimed_by_ada(2)
    bob = fleet.client("bob", 1)
    assert bob.claim_steps(HERS, kinds=["k"], limit=2, request_id="her-claim").claims == []
    again = fleet.client("ada", 1).claim_steps(HERS, kinds=["k"], limit=2, request_id="her-claim")
    assert again.claims == claims


def test_a_holder_is_named_after_its_principal_and_beats_for_nobody_else(fleet: Fleet) -> None:
    fleet.claimed_by_ada()
    fleet.client("bob").beat(HERS)
    holders = {holder.holder_id: holder for holder in fleet.pods.holders()}
    assert holders[f"ada:{HERS}"].beats == 0
    assert holders[f"bob:{HERS}"].beats == 1
    for stolen in (f"ada:{HERS}", f"bob:{HERS}"):
        with pytest.raises(InvalidArgument, match="holder_id"):
            fleet.client("bob").beat(stolen)


def test_a_worker_cannot_be_a_pod(fleet: Fleet) -> None:
    pod = fleet.pods.holder_of(fleet.both[0])
    fleet.client("bob").beat(pod.holder_id)
    assert f"bob:{pod.holder_id}" in {holder.holder_id for holder in fleet.pods.holders()}


def test_an_admin_drains_a_worker_by_the_name_it_lists(fleet: Fleet) -> None:
    fleet.claimed_by_ada()
    root = fleet.client("root")
    (worker,) = [pod for pod in root.pods() if pod.pod_id == f"ada:{HERS}"]
    root.drain(worker.pod_id)
    assert fleet.client("ada", 1).beat(HERS).draining
    with pytest.raises(Forbidden):
        fleet.client("ada").drain(worker.pod_id)


def test_a_dead_workers_claim_is_superseded_for_itself(pods: Pods, keyring: Keyring) -> None:
    ada, root = keyring.add("ada", Role.WORK), keyring.add("root", Role.ADMIN)
    quick = {"heartbeat_interval_seconds": 0.1, "dead_pod_threshold_seconds": 0.3}
    pod = pods.start("", tokens=keyring.file, **quick)
    worker, admin = pods.client(pod, token=ada), pods.client(pod, token=root)
    (step_id,) = admin.submit("k", [{}])
    (claim,) = worker.claim_steps(HERS, kinds=["k"]).claims
    dead = {f"ada:{HERS}": HolderStatus.DEAD}.items()
    until(lambda: dead <= {h.holder_id: h.status for h in pods.holders()}.items(), "it dead", BOUND)
    with pytest.raises(LeaseLost):
        worker.claim_steps(HERS, kinds=["k"])
    until(lambda: admin.get(step_id).state is StepState.PENDING, "its step recovered", BOUND)
    assert worker.complete_steps([Completion(claim.step_id, claim.fence)]) == [Verdict.EXPIRED]
    assert len(worker.claim_steps("another-life", kinds=["k"]).claims) == 1
