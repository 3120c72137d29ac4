"""Two writers in each other's way: the server ends one of them, which begins again."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest

from fleetq_server.errors import StoreUnavailable
from fleetq_server.model import Claim, HolderKey, NewStep, StepState
from fleetq_server.store.postgres.store import PostgresStore
from tests.cluster.fleet import until
from tests.store.driver import Driver

WAITS = """
SELECT FROM pg_stat_activity WHERE application_name = 'fleetq writer' AND wait_event_type = 'Lock'
"""
LOCKED = "SELECT FROM steps WHERE id = %s FOR UPDATE"


@pytest.fixture
def fleet(url: str) -> Iterator[Driver]:
    fleet = Driver(url)
    yield fleet
    fleet.assert_sound()
    fleet.close()


@pytest.fixture
def held(fleet: Driver) -> tuple[HolderKey, list[Claim]]:
    """Claims of one pod, the older ones on newer steps: neither how they lie nor who was first is
    the order of their ids."""
    pod = fleet.join("pod")
    for priority in range(5):
        fleet.submit(NewStep("a", priority=priority))
    claims = [fleet.claim_one(pod) for _ in range(5)]
    assert [claim.step_id for claim in claims] == sorted(
        (claim.step_id for claim in claims), reverse=True
    )
    return pod, claims


def while_another_waits(fleet: Driver, write: Callable[[], object], first: int, last: int) -> None:
    """Writes while another session holds the first step; then that one wants the last, too."""
    with psycopg.connect(fleet.url) as other, psycopg.connect(fleet.url, autocommit=True) as seen:
        other.execute("SET deadlock_timeout = '1min'")  # so that it is the writer that is ended
        other.execute(LOCKED, [first])
        writer = threading.Thread(target=write)
        writer.start()
        until(lambda: seen.execute(WAITS).rowcount > 0, "the writer waits for the other session")
        try:
            other.execute(LOCKED, [last])
        finally:
            other.rollback()
            writer.join()


def recover(fleet: Driver, dead: HolderKey) -> None:
    leader = fleet.join("leader")
    fleet.kill(leader, fleet.take_over(leader, dead))


WRITES: dict[str, Callable[[Driver, HolderKey, list[Claim]], object]] = {
    "complete": lambda fleet, _, claims: fleet.complete(*claims),
    "fail": lambda fleet, _, claims: fleet.fail(*claims),
    "release": lambda fleet, _, claims: fleet.release(*claims),
    "cancel": lambda fleet, _, claims: fleet.cancel(*(claim.step_id for claim in claims)),
    "recover": lambda fleet, pod, _: recover(fleet, pod),
}


@pytest.mark.parametrize("name", WRITES)
def test_steps_are_locked_in_the_order_of_their_ids(
    fleet: Driver, held: tuple[HolderKey, list[Claim]], name: str
) -> None:
    pod, claims = held
    ids = sorted(claim.step_id for claim in claims)
    before = deadlocks(fleet)
    while_another_waits(fleet, partial(WRITES[name], fleet, pod, claims), ids[0], ids[-1])
    assert deadlocks(fleet) == before
    if name != "cancel":
        assert fleet.counts.claimed == 0


def deadlocks(fleet: Driver) -> int:
    with psycopg.connect(fleet.url, autocommit=True) as conn:
        conn.execute("SELECT pg_stat_force_next_flush()")
        row = conn.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_who_loses_a_deadlock_writes_again_and_goes_on(
    fleet: Driver, held: tuple[HolderKey, list[Claim]]
) -> None:
    _, claims = held
    ids = [claim.step_id for claim in claims]
    for _ in range(10):  # whatever a driver does only after a few times
        fleet.store.next_due()
    while_another_waits(fleet, partial(fleet.complete, *claims), ids[0], ids[-1])
    assert deadlocks(fleet) >= 1
    assert {fleet.state(step) for step in ids} == {StepState.COMPLETED}
    assert len(fleet.submit(NewStep("a"))) == 1


@pytest.mark.parametrize("what", ["DISCARD ALL", "DEALLOCATE ALL"])
@pytest.mark.parametrize("notices", ["submit", "look"])
def test_a_session_that_somebody_cleared_is_left_for_another(
    fleet: Driver, what: str, notices: str
) -> None:
    store = fleet.store
    assert isinstance(store, PostgresStore)
    fleet.submit(NewStep("a"))
    store.next_due()
    assert store._wire is not None
    store._wire.conn.execute(what.encode())
    notice = partial(fleet.submit, NewStep("a")) if notices == "submit" else store.next_due
    with pytest.raises(StoreUnavailable):
        notice()
    fleet.submit(NewStep("a"))
    assert store.next_due() is None
    assert fleet.counts.pending == 2
