"""Behind a real PgBouncer, whose few sessions each transaction borrows anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cluster.fleet import Pods, pods_over
from tests.cluster.launch import Launcher
from tests.postgres.bouncer import through_pgbouncer

SESSIONS = 2
SWIFT: dict[str, Any] = {"heartbeat_interval_seconds": 0.2, "dead_pod_threshold_seconds": 3}


@pytest.fixture
def pooled_pods(tmp_path: Path, launcher: Launcher, url: str) -> Iterator[Pods]:
    with (
        through_pgbouncer(url, tmp_path, SESSIONS) as pooled,
        pods_over(tmp_path, launcher, pooled) as fleet,
    ):
        yield fleet


def sessions_of(url: str) -> int:
    """Apart from one's own."""
    with psycopg.connect(url, autocommit=True) as direct:
        row = direct.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_pods_that_share_two_sessions_run_each_step_once_though_one_is_killed(
    pooled_pods: Pods, url: str
) -> None:
    pods = pooled_pods
    survivors = [pods.start(**SWIFT) for _ in range(2)]
    victim = pods.start(**SWIFT)
    client = pods.client(survivors[0])
    held = client.submit("hold", [pods.payload()] * 20)
    pods.await_told("started", count=20)
    theirs = {line["step"] for line in pods.told("started") if line["pid"] == victim.pid}
    victim.kill()
    pods.await_event("pod_dead")
    pods.go_on()
    quick = client.submit("note", [pods.payload()] * 300)
    client.wait([*held, *quick], timeout=60, strict=True)
    assert sessions_of(url) == SESSIONS, "two pods have at least two connections each"
    assert theirs
    for step in held:
        begun = ["started", "started", "ended"] if step in theirs else ["started", "ended"]
        assert [line["event"] for line in pods.told(step=step)] == begun
    assert {pods.step(step).crashes for step in theirs} == {1}
    assert sorted(line["step"] for line in pods.told("ran")) == sorted(quick)
