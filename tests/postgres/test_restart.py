"""The server goes away and comes back; pods go on by themselves."""

import threading
from collections import Counter

import psycopg
import pytest

from fleetq_server.errors import FleetError
from fleetq_server.model import NewStep, StepState
from pytest_fleetq.postgres.server import Server
from tests.cluster.fleet import Pods, until
from tests.store.driver import Driver


class Load:
    """Submits until told to stop; remembers what was acknowledged."""

    def __init__(self, pods: Pods) -> None:
        self._client = pods.client(*pods.all, timeout=30)
        self._payload = pods.payload()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: list[str] = []
        self.refused: list[FleetError] = []

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.acknowledged += self._client.submit("note", [self._payload] * 5)
            except FleetError as error:
                self.refused.append(error)


@pytest.mark.parametrize("how", ["immediate", "fast"])
def test_pods_resume_when_the_server_is_back_and_lose_nothing(
    durable_pods: Pods, server: Server, how: str
) -> None:
    pods = durable_pods
    pods.start_many(3)
    with Load(pods) as load:
        until(lambda: len(load.acknowledged) > 100, "steps acknowledged before")
        server.stop(how)
        before = len(load.acknowledged)
        pods.close_reader()
        server.start()
        until(lambda: len(load.acknowledged) > before + 100, "more after the restart", within=5)
    for pod in pods.all:
        client = pods.client(pod)
        client.wait(client.submit("note", [pods.payload()]), timeout=5, strict=True)
    pods.client(*pods.all).wait(load.acknowledged, timeout=30)
    states = {pods.step(step).state for step in load.acknowledged}
    assert states == {StepState.COMPLETED}
    assert all(pod.alive for pod in pods.all)
    assert Counter(line["step"] for line in pods.told("ran")).keys() >= set(load.acknowledged)
    assert load.refused == [], "the client's retries carried every submit over"


def test_what_runs_during_a_restart_is_not_started_again(
    durable_pods: Pods, server: Server
) -> None:
    pods = durable_pods
    pods.start_many(2)
    steps = pods.client(pods.all[0]).submit("hold", [pods.payload()] * 8)
    pods.await_told("started", count=8)
    pods.close_reader()
    server.stop("immediate")
    server.start()
    for pod in pods.all:
        client = pods.client(pod)
        client.wait(client.submit("note", [pods.payload()]), timeout=10, strict=True)
    pods.await_beats(pods.all[0], 2)
    pods.go_on()
    pods.client(*pods.all).wait(steps, timeout=60, strict=True)
    assert Counter(line["step"] for line in pods.told("started")) == Counter(steps)
    assert pods.events("pod_dead") == []


def test_a_crash_of_the_server_takes_nothing_that_was_acknowledged(server: Server) -> None:
    """Nor where the server is told to acknowledge before it writes, and to write seldom."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    server.stop()
    server.start()
    before = Driver(server.dsn)
    pod = before.join("pod")
    before.lead(pod)
    before.bury(NewStep("dead", idempotency_key="buried"), holder=pod)
    steps = before.submit(*[NewStep("k", idempotency_key=f"{i}") for i in range(4)])
    done, _held, returned = before.claim(pod, 3)
    before.complete(done, result=b"r")
    before.release(returned)
    before.cancel(steps[-1])
    acknowledged = before.recorded()
    server.stop("immediate")
    before.close()
    server.start()
    after = Driver(server.dsn)
    assert after.recorded() == acknowledged
    after.assert_sound()
    after.close()
