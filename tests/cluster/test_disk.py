"""The disk fails under a pod: callers hear of it, nothing acknowledged is lost, and it passes."""

from contextlib import suppress
from random import Random

import pytest

from fleetq_server.errors import Unavailable
from fleetq_server.model import NewStep, StepState
from fleetq_server.store.sqlite.faultvfs import give_orders, lose_power, read_hits
from tests.cluster.fleet import Pods, until

FAULTS = {"write_error": 1, "sync_error": 1, "disk_full": 0}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_is_told_and_passes(pods: Pods, fault: str) -> None:
    control = pods.directory / "faults"
    pod = pods.start(faults=control)
    client = pods.client(pod, patience=0.5)
    before = client.submit("note", [pods.payload()] * 10)
    running = client.submit_one("hold", pods.payload())
    client.wait(before, timeout=60, strict=True)
    pods.await_told("started", running)
    give_orders(control, **{fault: FAULTS[fault]})
    lost = [NewStep("note", b'{"journal": "%s"}' % str(pods.journal).encode())]
    with pytest.raises(Unavailable) as told:
        client.submit_steps(lost, request_id="again")
    assert "disk" not in str(told.value)
    assert str(pods.directory) not in str(told.value)
    assert read_hits(control)[fault]
    pods.go_on()
    pods.await_told("ended", running)
    assert pods.step(running).state is StepState.CLAIMED
    until(lambda: pod.said("outcomes not recorded, trying again"), "it tries to record the outcome")
    give_orders(control)
    (again,) = client.submit_steps(lost, request_id="again", timeout=10)
    client.wait([*before, running, again.step_id], timeout=60, strict=True)
    assert pods.step(running).attempt == 1
    assert pods.reader.stats().totals.submitted == 12


def test_reads_go_on_while_nothing_can_be_written(pods: Pods) -> None:
    control = pods.directory / "faults"
    client = pods.client(pods.start(faults=control), patience=0.5)
    step = client.submit_one("note", pods.payload())
    client.wait([step], timeout=60, strict=True)
    give_orders(control, write_error=1)
    assert client.get(step).state is StepState.COMPLETED
    assert client.wait([step], timeout=10)[step].ok
    assert client.stats().totals.completed == 1
    assert client.leader().term == 1


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_survives_a_power_loss(pods: Pods, seed: int) -> None:
    """Of all pods at once; writes that were not synced are lost, arrive, or arrive in part."""
    rng = Random(seed)
    control = pods.directory / "faults"
    first = pods.start(faults=control)
    second = pods.start(faults=control)
    client = pods.client(first, second, patience=1.0)
    acknowledged = client.submit("note", [pods.payload()] * 5)
    give_orders(control, power_loss=rng.randrange(5, 60))
    with suppress(Unavailable):
        while True:
            acknowledged += client.submit("note", [pods.payload()] * 5, timeout=5)
    for pod in (first, second):
        assert pod.exit_status() == -9
    pods.close_reader()
    lose_power(pods.store, rng)
    give_orders(control)
    survivor = pods.start()
    again = pods.client(survivor)
    again.wait(acknowledged, timeout=60, strict=True)
    ends = pods.ends()
    assert all(ends[step] == 1 for step in acknowledged)
