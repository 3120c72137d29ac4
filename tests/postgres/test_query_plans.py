"""The hot statements use the index that was made for them, whatever else the tables hold."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest

from fleetq_server.model import DeadFilter, NewStep
from fleetq_server.store.base import Redrive
from fleetq_server.store.postgres import connection
from fleetq_server.store.postgres.reads import PostgresReader
from fleetq_server.store.postgres.store import PostgresStore
from fleetq_server.store.postgres.tx import SQL
from fleetq_server.store.postgres.wire import Wire
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
    "release": ((START, IDS, IDS), ["steps_pkey"]),
    "release_stranded": ((START, IDS, IDS), ["steps_held"]),
    "release_held": ((1, START), ["steps_held"]),
    "claim_to_fail": ((1, 7), ["steps_pkey", "bodies_pkey"]),
    "put_progress": ((1, 7, b"p"), ["steps_pkey"]),
    "end_failed_attempt": ((1, 1, START, START, 7), ["steps_pkey"]),
    "held": ((1, 100), ["steps_held", "steps_pkey"]),
    "recover": ((IDS,), ["steps_pkey"]),
    "end_crashed": ((IDS, START, 4), ["steps_pkey"]),
    "cancelling": ((1,), ["steps_cancelling"]),
    "next_due": ((), ["steps_scheduled"]),
    "next_due_from_now": ((), ["steps_scheduled"]),
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
KNOWN = ("nothing", "an empty fleet", "an idle fleet", "a busy fleet")
MANY_LANES = """
INSERT INTO lanes (queue, kind) SELECT 'q' || i, 'k1' FROM generate_series(100, 1000) AS i
"""
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
        conn.execute(MANY_LANES)
        if request.param == "an empty fleet":
            conn.execute("VACUUM ANALYZE")
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


class Use(NamedTuple):
    node: str
    table: str
    by: str  # index
    condition: str  # by which the index is searched


def plans(session: Session, sql: str, values: tuple[object, ...] = ()) -> Iterator[set[Use]]:
    """How a statement gets at its rows: as a prepared one is planned while it is new, and as it is
    later, for all values. It is not run."""
    session.execute(f"PREPARE it AS {sql}")
    try:
        for mode in ("force_custom_plan", "force_generic_plan"):
            session.execute(f"SET plan_cache_mode = {mode}")
            yield _plan_of(session, "it", values)
    finally:
        session.execute("DEALLOCATE it")


def _uses(plan: dict[str, Any]) -> Iterator[Use]:
    about = ("Relation Name", "Index Name", "Index Cond")
    yield Use(plan["Node Type"], *[plan.get(name, "") for name in about])
    for below in plan.get("Plans", ()):
        found = _uses(below)
        if plan["Node Type"] == "Limit" and not {"Index Cond", "Filter"}.intersection(below):
            yield next(found)._replace(condition="the first ones")
        yield from found


def scans(found: set[Use]) -> set[Use]:
    """Those that read a whole big table, or a whole index of one."""
    through = {each for each in found if each.node == "Seq Scan" or each.node.startswith("Index")}
    return {each for each in through if each.table in BIG_TABLES and not each.condition}


def check(session: Session, name: str, values: tuple[object, ...], indexes: list[str]) -> None:
    for found in plans(session, SQL[name], values):
        used = {use.by for use in found}
        assert all(used.intersection(index.split(" or ")) for index in indexes), found
        small = {one for index in indexes if " or " in index for one in index.split(" or ")}
        assert not {use for use in scans(found) if use.by not in small}


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


def test_a_pod_plans_anew_as_its_store_fills_and_fills_again() -> None:
    with fresh_database() as url:
        driver = Driver(url)
        wire = wire_of(driver)
        pod = driver.join("pod")
        for _ in range(2):
            wire.conn.execute("VACUUM ANALYZE")
            assert driver.claim(pod) == []
            assert scans(_plan_of(wire.conn, "pick", WRITER["pick"][0])), "right when empty"
            for number in range(40):
                driver.submit(*[NewStep("k1", queue=f"q{number % 3}")] * 100)
                driver.complete(*driver.claim(pod, 20), result=b"r")
            for name in ("pick", "claim", "complete"):
                values, indexes = WRITER[name]
                found = _plan_of(wire.conn, name, values)
                assert {use.by for use in found}.issuperset(indexes)
                assert not scans(found)
            wire.conn.execute("TRUNCATE steps, bodies, results")
        custom, generic = _planned(wire.conn, "%")
        assert custom == 0, "statements are planned for all values at once"
        assert generic > 400
        driver.close()


def test_what_is_looked_for_in_the_dlq_is_planned_for_what_it_is() -> None:
    with fresh_database() as url:
        driver = Driver(url)
        wire = wire_of(driver)
        buried = driver.bury(*[NewStep("k1")] * 20, holder=driver.join("pod"))
        for one in buried[:10]:
            assert driver.do(Redrive(DeadFilter(step_ids=(one,)))) == [one]
        assert _planned(wire.conn, "find_dead") == (10, 0)
        driver.submit(NewStep("k1"))
        assert _planned(wire.conn, "insert_step")[0] == 0, "it was for these transactions only"
        driver.close()


def wire_of(driver: Driver) -> Wire:
    assert isinstance(driver.store, PostgresStore)
    assert driver.store._wire is not None
    return driver.store._wire


def _planned(session: Session, name: str) -> tuple[int, int]:
    """How often statements of a session were planned for their values, and for all values."""
    row = session.execute(
        "SELECT sum(custom_plans), sum(generic_plans) FROM pg_prepared_statements"
        " WHERE name LIKE $1",
        (name,),
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def test_a_reader_that_began_with_an_empty_store_reads_no_whole_table_later() -> None:
    with fresh_database() as url:
        driver = Driver(url)
        assert isinstance(driver.reader, PostgresReader)
        conn = driver.reader._conn
        assert conn is not None
        conn.execute("VACUUM ANALYZE")
        for _ in range(30):  # the driver prepares what is asked often, the server plans it once
            for name, (values, _) in READER.items():
                driver.reader._run(name, *values)
        _submit(driver)
        conn.execute(THE_REST)
        statements = "SELECT statement, name FROM pg_prepared_statements"
        prepared: dict[str, str] = dict(conn.execute(statements).fetchall())
        for name, (values, _) in READER.items():
            assert not scans(_plan_of(conn, prepared[SQL[name]], values)), name
        driver.close()


def _plan_of(session: Session, name: str, values: tuple[object, ...]) -> set[Use]:
    """By which the session would run a statement that it prepared."""
    holes = f"({', '.join(['%s'] * len(values))})" if values else ""
    asked = f"EXPLAIN (FORMAT JSON) EXECUTE {name}{holes}".encode()
    row = psycopg.ClientCursor(session).execute(asked, values).fetchone()
    assert row is not None
    return set(_uses(row[0][0]["Plan"]))
