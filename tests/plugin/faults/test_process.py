"""Faults of a whole process, on real ones."""

import os
from pathlib import Path

import pytest

from fleetq_server import failpoints
from pytest_fleetq.faults import proc
from pytest_fleetq.faults.errors import BadSetting, FaultHadNoEffect, FaultUnavailable
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.process.crash_at import FAILPOINTS
from pytest_fleetq.faults.registry import Registry
from tests.plugin.faults.world import TinyFleet, TinyPod, ask, connect, python, running, until


def inject(fleet: TinyFleet, name: str, *pods: TinyPod, **settings: object) -> Injection:
    fault = Registry().make(name, **settings)
    return Injection(fault, pods, record=lambda *_: None).start(fleet)


@pytest.mark.parametrize("name", ["kill", "stop"])
def test_pods_end_and_come_back(fleet: TinyFleet, name: str) -> None:
    first, second, _ = fleet.pods
    address = first.address
    injection = inject(fleet, name, first, second)
    assert [pod.alive for pod in fleet.pods] == [False, False, True]
    injection.heal()
    assert ask(address) == b"hello"
    assert len(first.pids) == 2
    assert f"pod-0 (pid {first.pids[0]})" in injection.check_effect()


def test_a_killed_pod_may_stay_down(fleet: TinyFleet) -> None:
    injection = inject(fleet, "kill", fleet.pods[0], restart=False)
    injection.heal()
    assert not fleet.pods[0].alive
    assert injection.check_effect()


@pytest.mark.parametrize("name", ["kill", "stop", "pause"])
def test_nothing_happens_to_a_pod_that_does_not_run(fleet: TinyFleet, name: str) -> None:
    fleet.pods[0].kill()
    injection = inject(fleet, name, fleet.pods[0])
    injection.heal()
    with pytest.raises(FaultHadNoEffect):
        injection.check_effect()


def test_a_paused_pod_hangs_and_goes_on(fleet: TinyFleet) -> None:
    pod = fleet.pods[0]
    with connect(pod.address) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        with inject(fleet, "pause", pod) as injection:
            assert proc.state(pod.pid) == "T"
            client.sendall(b"b")
            client.settimeout(0.05)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(5)
        assert client.recv(1) == b"b"
    assert injection.check_effect() == "pod-0 in state T"


def test_a_paused_pod_may_die_meanwhile(fleet: TinyFleet) -> None:
    injection = inject(fleet, "pause", fleet.pods[0])
    fleet.pods[0].kill()
    injection.heal()
    assert injection.check_effect()


@pytest.mark.parametrize("graceful", [True, False])
def test_restart_gives_another_process_on_the_same_port(fleet: TinyFleet, graceful: bool) -> None:
    addresses = [pod.address for pod in fleet.pods]
    injection = inject(fleet, "restart", *fleet.pods, graceful=graceful)
    assert [ask(address) for address in addresses] == [b"hello"] * 3
    assert all(len(set(pod.pids)) == 2 for pod in fleet.pods)
    injection.heal()
    assert all(len(pod.pids) == 2 for pod in fleet.pods)
    assert injection.check_effect().startswith("restarted: pod-0")


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(0, flush=True)
time.sleep(60)
"""


def test_who_does_not_stop_is_killed_after_the_grace(tmp_path: Path) -> None:
    with running(TinyFleet(tmp_path, [TinyPod(0, tmp_path, python(STUBBORN))])) as fleet:
        injection = inject(fleet, "stop", fleet.pods[0], grace=0.05, restart=False)
        assert not fleet.pods[0].alive
        assert injection.check_effect()


def test_only_fleetq_pods_have_failpoints(fleet: TinyFleet) -> None:
    with pytest.raises(FaultUnavailable, match="pod-1 does not"):
        inject(fleet, "crash_at", fleet.pods[1])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"at": "store.commit"}, "no failpoint; did you mean store."),
        ({"action": "dance"}, "one of kill, exit, stop"),
    ],
)
def test_wrong_failpoints_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(BadSetting, match=problem):
        Registry().make("crash_at", **settings)


def test_every_failpoint_of_a_pod_can_be_named() -> None:
    assert set(FAILPOINTS) == failpoints.NAMES


def test_a_number_reused_by_another_process_is_no_survivor() -> None:
    found = proc.stat(os.getpid())
    assert found is not None
    assert not proc.is_gone(os.getpid(), found.born)
    assert proc.is_gone(os.getpid(), found.born + 1)


def test_threads_are_all_stopped_when_pause_returns(fleet: TinyFleet) -> None:
    pod = fleet.pods[2]
    clients = [connect(pod.address) for _ in range(20)]
    for client in clients:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert len(proc.threads(pod.pid)) > 20
    with inject(fleet, "pause", pod):
        assert {proc.state(thread) for thread in proc.threads(pod.pid)} == {"T"}
    until(lambda: proc.state(pod.pid) != "T", "it goes on")
    for client in clients:
        client.close()
