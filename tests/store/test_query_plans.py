"""The hot statements use the index that was made for them, whatever else the table holds."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from fleetq_server.model import NewStep
from fleetq_server.store.sqlite.connection import connect
from fleetq_server.store.sqlite.tx import SQL
from tests.store.driver import BIG_TABLES, START, Driver

ROWS = 3_000

IDS = json.dumps([1, 2, 3])
# Statement, values, how it must search.
PLANS = {
    "pick": ((json.dumps([1, 2]), 100, 7), ["steps_ready (lane=?)"]),
    "pick_from_one_lane": ((1, 100, 7), ["steps_ready (lane=?)"]),
    "ready_lanes": (("k1", "k2", "q1", 64), ["lanes_ready (kind=? AND queue=?"]),
    "ready_lanes_in_turn": (("k1", "k2", "q1", 0, 64), ["lanes_ready (kind=? AND queue=?"]),
    "claim": ((7, 1, START, IDS), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "claimed": ((IDS, START), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "claims_of_request": ((1, 7), ["steps_held (holder=?)"]),
    "completable": ((IDS, 7), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "complete": ((START, IDS), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "release": ((START, IDS, 7), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "release_held": ((1, START), ["steps_held (holder=?)"]),
    "held": ((1, 100), ["steps_held (holder=?)"]),
    "cancelling": ((1,), ["steps_cancelling (holder=?)"]),
    "next_due": ((), ["steps_scheduled"]),
    "promote": ((START, 100), ["steps_scheduled (run_at<?)"]),
    "expired_attempts": ((START, 100), ["steps_expiring (expires_at>? AND expires_at<?)"]),
    "standing_of_claims": ((IDS,), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "to_cancel": ((IDS,), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "reported_failure": ((1, 7), ["attempts_step (step_id=?)"]),
    "prunable": ((1000, 100), ["INTEGER PRIMARY KEY (rowid>?)"]),
    "prune_events": ((START, 100), ["INTEGER PRIMARY KEY (rowid<?)"]),
    "prune_requests": ((START, 100), ["requests_at (at<?)"]),
    "prune_holders": ((START,), ["steps_held (holder=?)"]),
    "delete_keys": ((IDS,), ["PRIMARY KEY (queue=? AND key=?)"]),
    "delete_attempts": ((IDS,), ["attempts_step (step_id=?)"]),
    "delete_steps": ((IDS,), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "read_attempts": ((1,), ["attempts_step (step_id=?)"]),
    "find_key": (("q1", "k"), ["PRIMARY KEY (queue=? AND key=?)"]),
    "read_step": ((1,), ["INTEGER PRIMARY KEY (rowid=?)"]),
    "ended": ((IDS,), ["INTEGER PRIMARY KEY (rowid=?)"]),
}
ALIASES = frozenset("sbrpd")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    """A database with steps in every state, most of them finished or scheduled."""
    path = tmp_path_factory.mktemp("plans") / "fleet.db"
    driver = Driver(f"sqlite:///{path}")
    _fill(driver)
    driver.close()
    db = connect(path)
    yield db
    db.close()


def _fill(driver: Driver) -> None:
    pod = driver.join("pod")
    for number in range(ROWS // 100):
        queue = f"q{number % 3}"
        driver.submit(
            *[
                NewStep("k1", queue=queue, timeout=9, idempotency_key=f"{number}.{i}")
                for i in range(50)
            ]
        )
        driver.submit(*[NewStep("k2", queue=queue, run_at=START + 9 + i) for i in range(50)])
    driver.complete(*driver.claim(pod, ROWS // 4), result=b"r")
    driver.fail(*driver.claim(pod, ROWS // 10), retryable=False)
    driver.cancel(*[claim.step_id for claim in driver.claim(pod, 50)][:20])


@pytest.fixture(params=["fresh statistics", "no statistics"])
def db(full: apsw.Connection, request: pytest.FixtureRequest) -> Iterator[apsw.Connection]:
    if request.param == "fresh statistics":
        full.execute("ANALYZE")
    yield full
    full.execute("DROP TABLE IF EXISTS sqlite_stat1; DROP TABLE IF EXISTS sqlite_stat4")


def plan_of(db: apsw.Connection, name: str, values: tuple[object, ...]) -> list[str]:
    sql = SQL[name].replace("{wanted}", "AND kind IN (?, ?) AND queue IN (?)")
    return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql, values)]


@pytest.mark.parametrize("name", PLANS)
def test_a_statement_searches_its_index_and_scans_no_big_table(
    db: apsw.Connection, name: str
) -> None:
    values, indexes = PLANS[name]
    plan = plan_of(db, name, values)
    for index in indexes:
        assert any("USING" in line and index in line for line in plan), plan
    assert [line for line in plan if _scans_big_table(line)] == [], plan


def _scans_big_table(line: str) -> bool:
    words = line.split()
    return words[0] == "SCAN" and words[1] in BIG_TABLES | ALIASES


def test_the_check_would_notice_a_scan(db: apsw.Connection) -> None:
    scan = [row[3] for row in db.execute("EXPLAIN QUERY PLAN SELECT id FROM steps WHERE fence = 1")]
    assert _scans_big_table(scan[0])


def _watched(directory: Path, watch: Callable[[apsw.Connection], None]) -> Driver:
    """Of a new store, whose connection is shown to `watch` as it opens."""
    apsw.connection_hooks.append(watch)
    try:
        return Driver(f"sqlite:///{directory / 'fleet.db'}")
    finally:
        apsw.connection_hooks.remove(watch)


def test_a_claim_does_the_same_work_however_much_is_finished_or_scheduled(tmp_path: Path) -> None:
    """Counted in SQLite's own steps, not in seconds."""
    work = Counter[str]()

    def one_step() -> bool:
        work["steps"] += 1
        return False

    def count(db: apsw.Connection) -> None:
        db.set_progress_handler(one_step, 1)

    driver = _watched(tmp_path, count)
    pod = driver.join("pod")

    def cost_of_a_claim() -> int:
        driver.submit(*[NewStep("wanted", queue="mine")] * 10)
        work.clear()
        assert len(driver.claim(pod, 10, kinds=("wanted",))) == 10
        return work["steps"]

    before = cost_of_a_claim()
    _fill(driver)
    assert before > 0
    assert cost_of_a_claim() <= before * 1.1
    driver.close()


def test_no_statement_is_prepared_anew_each_time_it_runs(tmp_path: Path) -> None:
    runs: Counter[str] = Counter()
    prepared_anew: Counter[str] = Counter()

    def ran(event: dict[str, Any]) -> None:
        runs[event["sql"]] += 1
        prepared_anew[event["sql"]] += event["stmt_status"]["SQLITE_STMTSTATUS_REPREPARE"]

    def listen(connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, ran)

    driver = _watched(tmp_path, listen)
    pod = driver.join("pod")
    for limit in range(1, 6):
        driver.submit(*[NewStep("k1")] * 9)
        driver.complete(*driver.claim(pod, limit), result=b"r")
    driver.close()
    assert max(runs.values()) >= 5
    # Once, for the schema that was made on this very connection.
    assert [(sql, n) for sql, n in prepared_anew.items() if n > 1] == []
