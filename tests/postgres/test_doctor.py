"""`fleetq doctor` over PostgreSQL."""

import json
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from fleetq_server.cli.diagnosis.check import Facts, Level
from fleetq_server.cli.diagnosis.server import check_server
from fleetq_server.cli.main import main
from fleetq_server.model import NewStep
from fleetq_server.store import open_store
from fleetq_server.store.base import Submit
from tests.cluster.fleet import Pods, until

SOUND: Facts = {
    "server_version": "18.1",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "off",
    "database_bytes": 10_000_000,
    "oldest_transaction_seconds": 0.5,
    "connections": 12,
    "max_connections": 100,
    "pooled": False,
    "schema_version": 1,
    "schema_serves": True,
}


def examine(url: str) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the checks by name."""
    done = CliRunner().invoke(main, ["doctor", "--store", url, "--json"])
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["ok"] is (done.exit_code == 0)
    return done.exit_code, {check["name"]: check for check in document["checks"]}


def not_ok(checks: dict[str, dict[str, str]]) -> dict[str, str]:
    return {name: check["level"] for name, check in checks.items() if check["level"] != "ok"}


def settle(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(statement)


def test_a_running_fleet_is_found_well(pods: Pods) -> None:
    one = pods.start()
    pods.start()
    client = pods.client(one)
    assert client.wait(client.submit("parse", [1, 2, 3])).completed == 3
    assert pods.leader()
    code, checks = examine(pods.url)
    # The server of the tests syncs nothing, which is for tests alone.
    assert not_ok(checks) in ({}, {"durability": "problem"})
    assert code == ("durability" in not_ok(checks))
    assert checks["pods"]["finding"] == "2 running"
    assert checks["contents"]["finding"].startswith("counters and scan agree on 3 steps")


def test_a_pod_without_its_session_is_not_taken_for_running(pods: Pods) -> None:
    pod = pods.start()
    pods.leader()
    pod.kill()

    def found() -> str:
        _, checks = examine(pods.url)
        return checks["pods"]["finding"] * (checks["pods"]["level"] == "warning")

    told = until(found, "the server sees its connection end")
    assert told.startswith("none running; ")
    assert told.endswith("registered as running, but without a process")


def test_a_counter_that_is_wrong_is_a_problem(url: str) -> None:
    store = open_store(url)
    store.apply([Submit([NewStep("note")] * 3)])
    store.close()
    settle(url, "UPDATE counts SET pending = pending + 1")
    code, checks = examine(url)
    assert code == 1
    assert "counter pending says 4, a scan finds 3" in checks["contents"]["finding"]


def test_a_server_that_does_not_answer_is_told() -> None:
    code, checks = examine("postgresql://somebody:secret@127.0.0.1:1/fleet")
    assert code == 3
    assert list(checks) == ["store"]
    assert checks["store"]["advice"] == "see that the server runs and lets this host in"


def test_no_password_is_shown() -> None:
    words = ["doctor", "--store", "postgresql://somebody:secret@127.0.0.1:1/fleet", "--json"]
    assert "secret" not in CliRunner().invoke(main, words).output


@pytest.mark.parametrize(("serves", "level"), [(1, "warning"), (98, "problem")])
def test_of_a_newer_schema_it_is_told_whether_this_version_works(
    url: str, serves: int, level: str
) -> None:
    open_store(url).close()
    settle(url, f"INSERT INTO schema_migrations (number, serves) VALUES (99, {serves})")
    _, checks = examine(url)
    del checks["durability"]  # the server of the tests syncs nothing
    assert not_ok(checks) == {"schema": level}
    assert "contents" not in checks


@pytest.mark.parametrize(
    ("fact", "value", "name", "level"),
    [
        ("fsync", "off", "durability", Level.PROBLEM),
        ("full_page_writes", "off", "durability", Level.PROBLEM),
        ("connections", 81, "connections", Level.WARNING),
        ("oldest_transaction_seconds", 61.0, "transactions", Level.WARNING),
        ("schema_version", 0, "schema", Level.PROBLEM),
        ("schema_version", 2, "schema", Level.WARNING),
    ],
)
def test_facts_are_judged(fact: str, value: str | float, name: str, level: Level) -> None:
    assert all(check.level is Level.OK for check in check_server(SOUND, 1))
    bad = [one for one in check_server({**SOUND, fact: value}, 1) if one.level is not Level.OK]
    assert [(one.name, one.level) for one in bad] == [(name, level)]
    assert bad[0].advice


def test_a_pooler_is_told_of() -> None:
    found = {check.name: check for check in check_server({**SOUND, "pooled": True}, 1)}
    assert "through a pooler" in found["connections"].finding
