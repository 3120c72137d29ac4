"""A pod's session is its proof of life; what it does when it loses that while it lives."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from fleetq_server.model import StepState
from tests.cluster.fleet import Pod, Pods, until
from tests.postgres.relay import Pooler, behind

LASTING: dict[str, Any] = {"heartbeat_interval_seconds": 5, "dead_pod_threshold_seconds": 60}


def order(url: str, sql: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        answer = connection.execute(sql.encode(), values)
        return answer.fetchall() if answer.description else []


def end_life_session_of(pods: Pods, pod: Pod) -> None:
    """The session whose lock is that pod's."""
    key = int.from_bytes(bytes.fromhex(pod.id[:16]), "big", signed=True)
    ended = order(
        pods.url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"
        " AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = %s",
        key,
    )
    assert ended == [(True,)]


def is_dead(pods: Pods, pod: Pod) -> bool:
    return not pods.live(pod)


def test_a_pod_that_loses_its_session_for_a_moment_loses_nothing_else(pods: Pods) -> None:
    first, second = pods.start_many(2, **LASTING)
    step = pods.client(second).submit("hold", [pods.payload()])[0]
    pods.await_told("started")
    for pod in (first, second):
        end_life_session_of(pods, pod)
        until(partial(pod.said, "lost the session that proves this pod's life"), "noticed")
        victim = pods.start(**LASTING)  # a death that the leader does notice, and later
        pods.leader()
        victim.kill()
        until(partial(is_dead, pods, victim), "the killed pod is declared dead")
    assert pods.live(first)
    assert pods.live(second)
    pods.go_on()
    pods.client(second).wait([step], timeout=60, strict=True)
    assert pods.tells_of(step) == [("started", 1), ("ended", 1)]


def test_a_pod_that_cannot_prove_its_life_stops_before_its_steps_run_elsewhere(
    pods: Pods,
) -> None:
    first = pods.start(**LASTING)
    second = pods.start(**LASTING)
    steps = pods.client(first).submit("hold", [pods.payload()] * 10)
    pods.await_told("started", count=10)
    victim = second if any(line["pid"] == second.pid for line in pods.told("started")) else first
    theirs = {line["step"] for line in pods.told("started") if line["pid"] == victim.pid}
    name = urlsplit(pods.url).path[1:]
    base = pods.url.replace(f"/{name}", "/postgres")
    order(base, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        key = int.from_bytes(bytes.fromhex(victim.id[:16]), "big", signed=True)
        order(
            base,
            "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks AS l JOIN pg_database AS d"
            " ON d.oid = l.database WHERE d.datname = %s AND locktype = 'advisory' AND objsubid = 1"
            " AND ((classid::bigint << 32) | objid::bigint) = %s",
            name,
            key,
        )
        cancelled = pods.await_told("cancelled", count=len(theirs))
    finally:
        order(base, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert {line["step"] for line in cancelled} == theirs
    pods.await_told("started", count=10 + len(theirs))
    for step in theirs:
        assert [line["event"] for line in pods.told(step=step)] == [
            "started",
            "cancelled",
            "started",
        ]
    pods.go_on()
    pods.client(first).wait(steps, timeout=60, strict=True)
    assert {pods.step(step).state for step in steps} == {StepState.COMPLETED}


@pytest.fixture
def pooled_pods(pods: Pods) -> Iterator[Pods]:
    with behind(Pooler, pods.url) as (_, url):
        pods.url = url
        yield pods
        for pod in pods.all:
            pod.ask_to_end()
            pod.exit_status()


def test_behind_a_pooler_pods_hear_of_work_and_of_death_without_a_session(
    pooled_pods: Pods,
) -> None:
    pods = pooled_pods
    swift: dict[str, Any] = {"heartbeat_interval_seconds": 0.2, "dead_pod_threshold_seconds": 1}
    taker = pods.start("", **swift)
    pods.start(**swift)
    client = pods.client(taker)
    client.wait(client.submit("note", [pods.payload()] * 3), timeout=10, strict=True)
    victim = pods.start(**swift)
    victim.kill()
    pods.await_event("pod_dead")
    assert pods.holder_of(victim).status == "dead"
