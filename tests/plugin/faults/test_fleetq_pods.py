"""Faults that FLEET-Q pods obey: on real pods, and on one that does no more than obey."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetq_server.client import Client
from fleetq_server.errors import FleetError
from pytest_fleetq.faults import proc
from pytest_fleetq.faults.errors import FaultHadNoEffect
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.orders import ControlFile
from pytest_fleetq.faults.proxy.links import Links
from pytest_fleetq.faults.registry import Registry
from tests.plugin.faults.world import TinyFleet, TinyPod, fleetq, python, running, until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyFleet]:
    """Two pods that survive what is done to them."""
    with fleetq(tmp_path_factory.mktemp("fleet"), 2) as fleet:
        yield fleet


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[TinyFleet]:
    """Two pods that do not."""
    with fleetq(tmp_path, 2) as fleet:
        yield fleet


def inject(fleet: TinyFleet, name: str, *pods: int, **settings: object) -> Injection:
    fault = Registry().make(name, **settings)
    targets = [fleet.pods[i] for i in pods]
    return Injection(fault, targets, record=lambda *_: None).start(fleet)


def submitted(fleet: TinyFleet) -> int:
    """Steps ever acknowledged, as any pod that serves tells."""
    with Client([pod.address for pod in fleet.pods]) as client:
        return client.stats().totals.submitted


def submit(fleet: TinyFleet, pod: int = 0) -> None:
    """Through one pod, which tries again for as long as it has to."""
    with Client(fleet.pods[pod].address) as client:
        client.submit("none", [{}], timeout=30)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("io_error", {"on": "write"}),
        ("io_error", {"on": "sync"}),
        ("disk_full", {"room": 0}),
        ("slow_sync", {"delay": 0.01}),
    ],
)
def test_the_disk_of_one_pod_fails_and_heals(
    shared: TinyFleet, name: str, settings: dict[str, object]
) -> None:
    before = submitted(shared)
    with inject(shared, name, 0, **settings) as injection:
        until(injection.look, "the pod meets its disk")
    submit(shared)
    assert submitted(shared) == before + 1
    assert injection.check_effect().startswith("pod-0: ")
    assert all(pod.alive for pod in shared.pods)


def test_while_the_write_lock_is_held_nobody_writes(shared: TinyFleet) -> None:
    with inject(shared, "held_write_lock", 0, 1) as injection:
        until(injection.look, "somebody waits to write")
        path = shared.directory / "fleet.db"
        stranger = sqlite3.connect(path, timeout=0, isolation_level=None)
        with closing(stranger), pytest.raises(sqlite3.OperationalError, match="locked"):
            stranger.execute("BEGIN IMMEDIATE")
    submit(shared)
    assert "waited to write" in injection.check_effect()


def test_a_pod_crashes_where_it_is_told_to(mortal: TinyFleet) -> None:
    pod = mortal.pods[0]
    injection = inject(mortal, "crash_at", 0, at="store.before_commit", nth=2)
    until(lambda: not pod.alive, "the pod has crashed")
    assert mortal.pods[1].alive
    injection.heal()
    assert len(pod.pids) == 2
    submit(mortal)
    assert injection.check_effect()
    assert pod.alive, "the orders were taken back before it started"


def test_a_pod_stops_where_it_is_told_to(mortal: TinyFleet) -> None:
    # Not in a write: the rest of the fleet would kill it for that.
    pod = mortal.pods[1]
    with inject(mortal, "crash_at", 1, at="store.before_begin", action="stop") as injection:
        until(lambda: proc.state(pod.pid) == "T", "the pod has stopped")
        until(injection.look, "that shows")
    until(lambda: proc.state(pod.pid) != "T", "the pod goes on")
    assert injection.check_effect().startswith("pod-1: ")
    submit(mortal, 1)
    assert submitted(mortal) == 1


@pytest.mark.parametrize("settings", [{}, {"nth": 2, "torn": True, "seed": 3}])
def test_after_a_power_loss_nothing_acknowledged_is_missing(
    mortal: TinyFleet, settings: dict[str, object]
) -> None:
    for _ in range(3):
        submit(mortal)
    injection = inject(mortal, "power_loss", 0, **settings)
    assert [pod.alive for pod in mortal.pods] == [False, False]
    injection.heal()
    assert submitted(mortal) == 3
    assert "unsynced writes lost, killed: pod-0" in injection.check_effect()


def test_a_client_behind_a_link_is_cut_off_and_comes_back(shared: TinyFleet) -> None:
    links = Links()
    shared.links = links
    address = links.add_edge("client", "pod-0", shared.pods[0].address)
    with Client(address) as client:
        client.submit("none", [{}])
        for name, settings in (("partition", {}), ("partition", {"silent": True})):
            with inject(shared, name, 0, **settings) as injection, pytest.raises(FleetError):
                client.submit("none", [{}], timeout=0.5)
            client.submit("none", [{}], timeout=30)
            assert injection.check_effect()
        with inject(shared, "slicer", 0, stream="both", average_size=7, size_variation=3):
            assert len(client.submit("none", [{"n": n} for n in range(100)])) == 100
    links.close()


# --- a pod that counts what it obeys ------------------------------------------------------------

# What faults need of a pod: it reads its orders, and counts a hit when one has an effect.
OBEDIENT = """
import json, os, time
print(0, flush=True)
def orders():
    try:
        return json.load(open("faults.json"))
    except FileNotFoundError:
        return {}
hits = {}
while True:
    given = orders()
    for name in ("clock_jump", "clock_rate", "clock_freeze"):
        if name in given:
            hits[name] = hits.get(name, 0) + 1
    for spec in given.get("failpoints", "").split(","):
        if spec.startswith("pod.ready="):
            hits["failpoint:pod.ready"] = hits.get("failpoint:pod.ready", 0) + 1
    with open("hits.new", "w") as file:
        json.dump(hits, file)
    os.replace("hits.new", "faults.json.hits")
    time.sleep(0.005)
"""


class ObedientPod(TinyPod):
    is_fleetq = True


@pytest.fixture
def obedient(tmp_path: Path) -> Iterator[TinyFleet]:
    with running(TinyFleet(tmp_path, [ObedientPod(0, tmp_path, python(OBEDIENT))])) as fleet:
        yield fleet


@pytest.mark.parametrize(
    ("name", "settings", "order"),
    [
        ("clock_jump", {"seconds": -5.0}, {"clock_jump": -5.0}),
        ("clock_drift", {"rate": 1.5}, {"clock_rate": 1.5}),
        ("clock_freeze", {}, {"clock_freeze": True}),
        ("crash_at", {"at": "pod.ready", "action": "raise"}, {"failpoints": "pod.ready=raise@1"}),
        ("crash_at", {"at": "pod.ready", "nth": 0}, {"failpoints": "pod.ready=kill"}),
    ],
)
def test_orders_are_given_met_and_taken_back(
    obedient: TinyFleet, name: str, settings: dict[str, object], order: dict[str, object]
) -> None:
    file = obedient.pods[0].directory / "faults.json"
    with inject(obedient, name, 0, **settings) as injection:
        given = json.loads(file.read_text())
        del given["injections"]
        assert given == order
        until(injection.look, "the order is met")
    assert json.loads(file.read_text()) == {"injections": {}}
    assert injection.check_effect().startswith("pod-0: ")


def test_a_failpoint_that_is_not_reached_had_no_effect(obedient: TinyFleet) -> None:
    injection = inject(obedient, "crash_at", 0, at="store.before_commit")
    injection.heal()
    with pytest.raises(FaultHadNoEffect):
        injection.check_effect()


@pytest.mark.parametrize("name", ["clock_jump", "clock_drift", "clock_freeze"])
def test_a_real_pods_clock_is_false(shared: TinyFleet, name: str) -> None:
    control = ControlFile(shared.pods[0].directory / "faults.json")
    with inject(shared, name, 0) as injection:
        until(injection.look, f"the pod was told a false time; it counted {control.hits()}")
    submit(shared)
    assert injection.check_effect().startswith("pod-0: ")
