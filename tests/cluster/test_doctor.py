"""`fleetq doctor`: what it finds, and that it touches nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner

from fleetq_server.cli.diagnosis.check import Level
from fleetq_server.cli.diagnosis.database import check_facts
from fleetq_server.cli.diagnosis.fleet import Fleet, check_fleet
from fleetq_server.cli.main import main
from fleetq_server.model import Holder, HolderKey, HolderStatus, HolderType, Leadership, NewStep
from fleetq_server.store import open_store
from fleetq_server.store.base import Submit
from tests.cluster.fleet import Pods, until
from tests.cluster.launch import ROOT

DOCTOR = (sys.executable, "-m", "fleetq_server.cli.main", "doctor")


Examined = tuple[int, dict[str, dict[str, str]]]  # the exit code, and the checks by name


def examine(store: Path) -> Examined:
    """A store that nobody else has open."""
    done = CliRunner().invoke(main, ["doctor", "--store", f"sqlite:///{store}", "--json"])
    return examined(done.exit_code, done.stdout, done.output)


def examine_running(store: Path) -> Examined:
    """Apart from the tests' own reader, whose locks would end with any file closed here."""
    command = [*DOCTOR, "--store", f"sqlite:///{store}", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return examined(done.returncode, done.stdout, done.stderr)


def examined(code: int, stdout: str, said: str) -> Examined:
    assert stdout, said
    document: dict[str, Any] = json.loads(stdout)
    assert document["ok"] is (code == 0)
    return code, {check["name"]: check for check in document["checks"]}


def not_ok(checks: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: check["level"] for name, check in checks.items() if check["level"] != "ok"}


def contents(directory: Path) -> dict[str, bytes]:
    """Of every file but SQLite's index of the WAL, in which readers too register."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files if path.suffix != ".db-shm"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """With three steps, and closed."""
    path = tmp_path / "fleet.db"
    opened = open_store(f"sqlite:///{path}")
    opened.apply([Submit([NewStep("note")] * 3)])
    opened.close()
    return path


def tamper(store: Path, *statements: str) -> None:
    db = apsw.Connection(str(store))
    for statement in statements:
        db.execute(statement).fetchall()
    db.close()


# --- sound stores -----------------------------------------------------------------------------


def test_a_running_fleet_is_found_well(pods: Pods) -> None:
    first, second = pods.start_many(2)
    leader = pods.leader()
    client = pods.client(first, second)
    client.wait([client.submit_one("note", pods.payload())], timeout=10, strict=True)
    code, checks = examine_running(pods.store)
    assert (code, not_ok(checks)) == (0, {})
    assert checks["pods"]["finding"] == "2 running"
    assert leader.id[:8] in checks["leader"]["finding"]
    assert checks["durability"]["finding"] == "pods commit with synchronous=full"
    assert "1 steps" in checks["contents"]["finding"]


def test_a_store_at_rest_is_found_well_and_left_as_it_is(store: Path) -> None:
    before = contents(store.parent)
    code, checks = examine(store)
    assert (code, not_ok(checks)) == (0, {})
    assert checks["journal mode"]["finding"] == "wal"
    assert contents(store.parent) == before
    assert not Path(f"{store}-shm").exists()


def test_dead_pods_are_told_of_and_their_wal_is_not_touched(pods: Pods) -> None:
    pod = pods.start()
    pods.leader()
    pods.reader.close()
    pods._reader = None  # an open reader would hold the WAL
    pod.kill()
    before = contents(pods.directory)
    assert before[f"{pods.store}-wal"]
    code, checks = examine_running(pods.store)
    assert (code, not_ok(checks)) == (0, {"pods": "warning"})
    assert pod.id[:8] in checks["pods"]["finding"]
    assert "start a pod" in checks["pods"]["advice"]
    assert contents(pods.directory) == before


def test_a_stopped_pod_is_found_silent(pods: Pods) -> None:
    pod = pods.start()
    pods.leader()
    assert examine_running(pods.store)[1]["heartbeats"]["level"] == "ok"
    os.kill(pod.pid, signal.SIGSTOP)
    try:
        code, checks = until(lambda: warned(pods.store), "a warning of its silence")
    finally:
        os.kill(pod.pid, signal.SIGCONT)
    assert (code, not_ok(checks)) == (0, {"heartbeats": "warning"})
    assert pod.id[:8] in checks["heartbeats"]["finding"]


def warned(store: Path) -> Examined | None:
    code, checks = examine_running(store)
    return (code, checks) if not_ok(checks) else None


def test_files_of_the_dead_are_counted(store: Path) -> None:
    folder = Path(f"{store}.fleet")
    folder.mkdir()
    tamper(store, _registered("dead", "a" * 32))
    for suffix in ("lock", "life", "bell"):
        (folder / f"{'a' * 32}.{suffix}").touch()
    (folder / f"{'b' * 32}.lock").touch()  # of a pod that is about to register
    code, checks = examine(store)
    assert (code, not_ok(checks)) == (0, {"left behind": "warning"})
    assert "3 files" in checks["left behind"]["finding"]


def _registered(status: str, holder_id: str) -> str:
    return (
        "INSERT INTO holders (holder_id, type, name, address, pid, version, max_parallelism, "
        f"status, swept, born_at, beat_at) VALUES ('{holder_id}', 'pod', '', '', 1, '', 1, "
        f"'{status}', 1, 1.0, 1.0)"
    )


# --- unsound stores ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "name", "told"),
    [
        ("UPDATE lanes SET completed = completed + 1", "contents", "counter completed says 1"),
        ("DELETE FROM bodies WHERE step_id = 2", "contents", "step 2 has no payload row"),
        ("UPDATE steps SET state = 2, holder = 99 WHERE id = 3", "contents", "step 3 is CLAIMED"),
        ("PRAGMA user_version = 900", "schema", "version 900, but this installation knows only"),
        ("PRAGMA journal_mode = delete", "journal mode", "delete: another program"),
    ],
)
def test_each_unsoundness_is_named(store: Path, statement: str, name: str, told: str) -> None:
    tamper(store, statement)
    before = contents(store.parent)
    code, checks = examine(store)
    assert (code, not_ok(checks)) == (1, {name: "problem"})
    assert told in checks[name]["finding"]
    assert checks[name]["advice"]
    assert contents(store.parent) == before


def damage(store: Path, table: str) -> None:
    db = apsw.Connection(str(store))
    sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
    page = int(str(db.execute(sql, (table,)).get))
    size = int(db.pragma("page_size"))
    db.close()
    with store.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)


@pytest.mark.parametrize(
    ("table", "name"), [("bodies", "structure"), ("steps", "contents"), ("holders", "structure")]
)
def test_damage_is_a_finding_not_a_failure(store: Path, table: str, name: str) -> None:
    damage(store, table)
    code, checks = examine(store)
    assert (code, checks[name]["level"]) == (1, "problem")
    assert "keep a copy" in checks[name]["advice"]


def test_a_database_of_another_program_is_not_taken_for_a_store(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    tamper(path, "PRAGMA journal_mode = wal", "CREATE TABLE other (a)")
    code, checks = examine(path)
    assert (code, not_ok(checks)) == (1, {"schema": "problem"})


def _missing(path: Path) -> None:
    del path


def _text(path: Path) -> None:
    path.write_text("no database " * 100)


def _directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_missing, _text, _directory])
def test_what_cannot_be_opened_is_told_and_not_made(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "fleet.db"
    make(path)
    before = sorted(tmp_path.iterdir())
    code, checks = examine(path)
    assert (code, not_ok(checks)) == (3, {"store": "problem"})
    assert str(path) in checks["store"]["finding"]
    assert sorted(tmp_path.iterdir()) == before


def test_a_url_without_a_store_is_wrong_usage() -> None:
    done = subprocess.run(
        [*DOCTOR, "--store", "sqlite:"], cwd=ROOT, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, b"")


def test_people_get_a_line_for_each_check_and_advice(store: Path) -> None:
    tamper(store, "UPDATE lanes SET completed = completed + 1")
    command = [*DOCTOR, "--store", f"sqlite:///{store}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "problem" in done.stdout
    assert "→ stop all pods" in done.stdout


# --- what a test cannot bring about -----------------------------------------------------------

SOUND: dict[str, str | int | float | bool] = {
    "sqlite_version": "3.51.3",
    "wal_reset_bug": False,
    "journal_mode": "wal",
    "synchronous": "full",
    "file_system": "ext4",
    "database_bytes": 4096,
    "wal_bytes": 0,
    "schema_version": 1,
}


@pytest.mark.parametrize(
    ("fact", "value", "name", "level"),
    [
        ("wal_reset_bug", True, "library", Level.PROBLEM),
        ("file_system", "nfs4", "file system", Level.PROBLEM),
        ("file_system", "tmpfs", "file system", Level.WARNING),
        ("synchronous", "normal", "durability", Level.PROBLEM),
        ("wal_bytes", 65 * 1024**2, "WAL", Level.WARNING),
        ("schema_version", 0, "schema", Level.PROBLEM),
    ],
)
def test_facts_are_judged(fact: str, value: str | int, name: str, level: Level) -> None:
    assert all(check.level is Level.OK for check in check_facts(SOUND, 1))
    bad = [each for each in check_facts({**SOUND, fact: value}, 1) if each.level is not Level.OK]
    assert [(each.name, each.level) for each in bad] == [(name, level)]


def holder(holder_id: str, beat_at: float, type: HolderType = HolderType.POD) -> Holder:
    status = HolderStatus.LIVE
    return Holder(HolderKey(1), holder_id, type, "", "", 1, "", 1, status, 0.0, beat_at, 1, 0)


@pytest.mark.parametrize(
    ("fleet", "name"),
    [
        (Fleet([holder("a", 99.0)], Leadership(1, "b", 0.0), frozenset(), ()), "leader"),
        (Fleet([holder("a", 90.0)], Leadership(1, "a", 0.0), frozenset(), ()), "heartbeats"),
        (Fleet([holder("a", 105.0)], Leadership(1, "a", 0.0), frozenset(), ()), "clock"),
        (
            Fleet(
                [holder("a", 99.0), holder("b", 9.0)], Leadership(1, "a", 0.0), frozenset("b"), ()
            ),
            "pods",
        ),
    ],
)
def test_holders_are_judged(fleet: Fleet, name: str) -> None:
    bad = [each for each in check_fleet(fleet, 100.0, 5.0) if each.level is not Level.OK]
    assert [each.name for each in bad] == [name]
