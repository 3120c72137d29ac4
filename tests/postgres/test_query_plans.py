"""The hot statements use the index that was made for them, whatever else the tables hold."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from fleetq_server.model import NewStep
from fleetq_server.store.postgres import connection
from fleetq_server.store.postgres.tx import SQL
from tests.store.databases import fresh_database
from tests.store.driver import BIG_TABLES, START, Driver

ROWS = 3_000

IDS = json.dumps([1, 2, 3])
# Statement, values, the indexes it must use.
WRITER = {
    "pick": (
        (["k1", "k2"], ["q1"], 100, 7, 0, 64, 2),
        ["steps_ready", "steps_pkey", "bodies_pkey"],
    ),
    "is_ready": ((["k1", "k2"], ["q1"]), ["steps_ready"]),
    "any_ready": ((), ["steps_ready"]),
    "claim": ((7, 1, START, IDS), ["steps_pkey"]),
    "claims_of_request": ((1, 7), ["steps_held", "bodies_pkey"]),
    "holds_doubtful": ((1, 2), ["steps_held"]),
    "complete": ((START, IDS, IDS), ["steps_pkey"]),
    "release": ((START, IDS, 7), ["steps_pkey"]),
    "release_stranded": ((START, IDS, IDS), ["steps_held"]),
    "release_held": ((1, START), ["steps_held"]),
    "claim_to_fail": ((1, 7), ["steps_pkey", "bodies_pkey"]),
    "put_progress": ((1, 7, b"p"), ["steps_pkey"]),
    "end_failed_attempt": ((1, 1, START, START, 7), ["steps_pkey"]),
    "held": ((1, 100), ["steps_held"]),
    "recover": ((IDS,), ["steps_pkey"]),
    "end_crashed": ((IDS, START, 4), ["steps_pkey"]),
    "cancelling": ((1,), ["steps_cancelling"]),
    "next_due": ((), ["steps_scheduled"]),
    "due_now": ((START,), ["steps_scheduled"]),
    "promote": ((START + 10, 100), ["steps_scheduled", "steps_pkey"]),
    # Either holds no more than what is claimed.
    "expired_attempts": ((START + 100, 100), ["steps_expiring or steps_held"]),
    "standing_of_claims": ((IDS,), ["steps_pkey"]),
    "to_cancel": ((IDS,), ["steps_pkey"]),
    "reported_failure": ((1, 7), ["attempts_step"]),
    "find_dead": ((0, None, None, None, None, None, None, None, 100), ["dead_pkey"]),
    "redrive": ((1, 1, START), ["steps_pkey"]),
    "prunable": ((1000, 100), ["steps_pkey"]),
    "prune_events": ((START, 100), ["events_pkey"]),
    "prune_requests": ((START, 100), ["requests_at", "requests_pkey"]),
    "prune_holders": ((START,), ["steps_held"]),
    "delete_keys": ((IDS,), ["bodies_pkey", "steps_pkey", "idempotency_pkey"]),
    "delete_attempts": ((IDS,), ["attempts_step"]),
    "delete_dead": ((IDS,), ["dead_pkey"]),
    "delete_steps": ((IDS,), ["steps_pkey"]),
    "delete_bodies": ((IDS,), ["bodies_pkey"]),
    "find_key": (("q1", "k"), ["idempotency_pkey"]),
    "find_request": (("r",), ["requests_pkey"]),
}
READER = {
    "read_step": ((1,), ["steps_pkey", "bodies_pkey"]),
    "read_attempts": ((1,), ["attempts_step"]),
    "list_ids": ((2000, 0, None, None, 100), ["steps_pkey"]),
    "ended": ((IDS,), ["steps_pkey"]),
    "known": ((IDS,), ["steps_pkey"]),
    "read_events": ((1, 100, 50), ["events_pkey"]),
}
# What was there when the planner's statistics were taken; they are always of yesterday.
KNOWN = ("nothing", "an idle fleet", "a busy fleet")
THE_REST = """
INSERT INTO progress SELECT id, 'p' FROM steps;
INSERT INTO idempotency SELECT 'q', 'k' || i, i, '' FROM generate_series(1, 3000) AS i;
INSERT INTO requests SELECT 'r' || i, '', '', i FROM generate_series(1, 3000) AS i;
INSERT INTO events SELECT nextval('event_seq'), i, 'pod_dead' FROM generate_series(1, 3000) AS i;
INSERT INTO results SELECT i, 'r', false FROM generate_series(1000001, 1003000) AS i;
INSERT INTO dead SELECT i, 1, 'crashed', '', '', i FROM generate_series(1000001, 1003000) AS i;
INSERT INTO attempts (step_id, attempt, holder, started_at, ended_at, cause, error, message)
SELECT i, 1, '', i, i, 'crashed', '', '' FROM generate_series(1000001, 1003000) AS i;
"""


Session = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module", params=KNOWN)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Of a fleet with steps in every state, most of them finished or scheduled."""
    with fresh_database() as url:
        driver = Driver(url)
        conn = connection.connect(url, name="plans")
        _submit(driver)
        conn.execute(THE_REST)
        if request.param == "an idle fleet":
            conn.execute("ANALYZE")
        _work(driver)
        if request.param == "a busy fleet":
            conn.execute("ANALYZE")
        yield conn
        conn.close()
        driver.close()


def _submit(driver: Driver) -> None:
    for number in range(ROWS // 500):
        queue = f"q{number % 3}"
        driver.submit(*[NewStep("k1", queue=queue, timeout=9)] * 250)
        driver.submit(*[NewStep("k2", queue=queue, run_at=START + 9 + i) for i in range(250)])


def _work(driver: Driver) -> None:
    pod = driver.join("pod")
    driver.complete(*driver.claim(pod, ROWS // 10), result=b"r")
    driver.fail(*driver.claim(pod, ROWS // 100), retryable=False)
    driver.cancel(*[claim.step_id for claim in driver.claim(pod, ROWS // 10)][:20])


Use = tuple[str, str, str]  # node type, table, index


def plans(session: Session, sql: str, values: tuple[object, ...] = ()) -> Iterator[set[Use]]:
    """How a statement gets at its rows: as a prepared one is planned while it is new, and as it is
    later, for all values. It is not run."""
    cursor = psycopg.ClientCursor(session)
    holes = f"({', '.join(['%s'] * len(values))})" if values else ""
    session.execute(f"PREPARE it AS {sql}")
    for mode in ("force_custom_plan", "force_generic_plan"):
        session.execute(f"SET plan_cache_mode = {mode}")
        row = cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE it{holes}".encode(), values).fetchone()
        assert row is not None
        yield set(_uses(row[0][0]["Plan"]))
    session.execute("DEALLOCATE it")


def _uses(plan: dict[str, Any]) -> Iterator[Use]:
    yield plan["Node Type"], plan.get("Relation Name", ""), plan.get("Index Name", "")
    for below in plan.get("Plans", ()):
        yield from _uses(below)


def scans(found: set[Use]) -> set[Use]:
    return {each for each in found if each[0] == "Seq Scan" and each[1] in BIG_TABLES}


def check(session: Session, name: str, values: tuple[object, ...], indexes: list[str]) -> None:
    for found in plans(session, SQL[name], values):
        used = {index for _, _, index in found}
        assert all(used.intersection(index.split(" or ")) for index in indexes), found
        assert not scans(found)


@pytest.mark.parametrize("name", WRITER)
def test_what_a_pod_writes_searches_its_index_and_scans_no_big_table(
    session: Session, name: str
) -> None:
    with session.transaction(force_rollback=True):
        session.execute(SQL["settings"], ("4s", "2s", "8s", True))
        check(session, name, *WRITER[name])


@pytest.mark.parametrize("name", READER)
def test_what_is_read_searches_its_index_and_scans_no_big_table(
    session: Session, name: str
) -> None:
    with session.transaction(force_rollback=True):
        check(session, name, *READER[name])


def test_the_check_would_notice_a_scan(session: Session) -> None:
    for found in plans(session, "SELECT id FROM steps WHERE fence = 1"):
        assert scans(found)
