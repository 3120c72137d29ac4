"""Several hosts and a database between them, with the network that such a fleet really has."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetq_server.model import Completion, StepState, Verdict
from pytest_fleetq.postgres.server import NoServer, Server
from tests.cluster.fleet import Pods, until
from tests.postgres.hosts import NETWORK, Host, hosts

SWIFT: dict[str, Any] = {"heartbeat_interval_seconds": 0.3, "dead_pod_threshold_seconds": 1.5}
WORKER = "f" * 32


@pytest.fixture
def three_hosts() -> Iterator[list[Host]]:
    with hosts(3) as made:
        yield made


@pytest.fixture
def far_database(three_hosts: list[Host]) -> Iterator[str]:
    """On the first host."""
    host = three_hosts[0]
    try:
        server = Server(
            Path(tempfile.mkdtemp(prefix="fleetq-pg-")), settings={"listen_addresses": host.address}
        )
    except NoServer as missing:
        pytest.skip(str(missing))
    server.create(trusted=f"{NETWORK}.0/24")
    server.start(prefix=host.inside)
    yield f"postgresql://fleetq@{host.address}/postgres"
    server.remove()


def test_a_host_that_is_cut_off_loses_its_steps_and_cannot_complete_them_late(
    tmp_path: Path, three_hosts: list[Host], far_database: str
) -> None:
    _, near, far = three_hosts
    pods = Pods(tmp_path, near.launch, far_database)
    there = Pods(tmp_path, far.launch, far_database)
    there.directory = tmp_path / "there"
    there.directory.mkdir()
    try:
        lost = there.start(**SWIFT)
        lost_client = there.client(lost)
        steps = lost_client.submit("hold", [pods.payload()] * 5)
        pods.await_told("started", count=5)
        lost_client.submit_one("by-hand")
        (claim,) = lost_client.claim_steps(WORKER, kinds=["by-hand"]).claims
        kept = pods.start(**SWIFT)
        far.cut_off()
        pods.await_told("cancelled", count=5)
        pods.await_told("started", count=10)
        assert {line["pid"] for line in pods.told("started")[5:]} == {kept.pid}
        cancelled = max(line["at"] for line in pods.told("cancelled"))
        assert cancelled < min(line["at"] for line in pods.told("started")[5:])
        far.join_again()
        until(lambda: pods.holder_of(lost).holder_id != lost.id, "the lost pod is back, as another")
        late = Completion(claim.step_id, claim.fence)
        (verdict,) = lost_client.complete_steps([late])
        assert verdict is Verdict.EXPIRED
        pods.go_on()
        pods.client(kept).wait(steps, timeout=60, strict=True)
        assert {pods.step(step).state for step in steps} == {StepState.COMPLETED}
        assert set(pods.ends().values()) == {1}
    finally:
        far.join_again()
        pods.go_on()
        there.end()
        pods.end()
