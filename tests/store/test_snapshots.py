"""A read made of several statements tells of one moment, though others write in between."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from fleetq_server.model import NewStep, Step, StepState
from fleetq_server.store.sqlite import SqliteReader
from tests.store.driver import Driver


def reader_with_rival(path: Path, statement: str, rival: Callable[[], object]) -> SqliteReader:
    """A reader in whose way `rival` gets, once, just before it runs a statement with this text."""
    waiting = [rival]

    def interfere(event: dict[str, str]) -> None:
        if waiting and statement in event["sql"]:
            waiting.pop()()

    def watch(db: apsw.Connection) -> None:
        db.trace_v2(apsw.SQLITE_TRACE_STMT, interfere)

    apsw.connection_hooks.append(watch)
    try:
        return SqliteReader(path)
    finally:
        apsw.connection_hooks.remove(watch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet.db"


@pytest.fixture
def fleet(path: Path) -> Driver:
    return Driver(f"sqlite:///{path}")


def test_a_step_and_its_attempts_are_of_one_moment(fleet: Driver, path: Path) -> None:
    pod = fleet.join("pod")
    (step_id,) = fleet.submit(NewStep("a"))
    claim = fleet.claim_one(pod)
    reader = reader_with_rival(path, "FROM attempts", lambda: fleet.fail(claim))
    step = reader.get_step(step_id)
    assert step is not None
    assert told(step) == (StepState.CLAIMED, 0)
    assert told(fleet.step(step_id)) == (StepState.SCHEDULED, 1), "the rival did get in the way"
    reader.close()
    fleet.close()


def told(step: Step) -> tuple[StepState, int]:
    return step.state, len(step.attempts)


def test_an_audit_is_of_one_moment(fleet: Driver, path: Path) -> None:
    fleet.submit(NewStep("a"))
    reader = reader_with_rival(path, "FROM lanes", lambda: fleet.submit(NewStep("a")))
    assert reader.audit().problems == ()
    assert fleet.counts.submitted == 2
    reader.close()
    fleet.close()
