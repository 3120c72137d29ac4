"""Every fault, where it can have no effect: that fails the test that injected it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from pytest_fleetq.faults.errors import FaultHadNoEffect
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.proxy.links import Links
from pytest_fleetq.faults.registry import BUILT_IN, Registry
from pytest_fleetq.faults.storage import strace
from tests.plugin.faults.world import (
    ECHO,
    TinyFleet,
    TinyPod,
    ask,
    echoes,
    fleetq,
    python,
    running,
)

TOXICS = (
    "latency", "bandwidth", "reset_peer", "timeout", "slow_close", "slicer", "limit_data",
    "corrupt",
)  # fmt: skip
NETWORK = (*TOXICS, "partition", "bridge", "ring")
DISK = ("io_error", "disk_full", "slow_sync")
CLOCK = ("clock_jump", "clock_drift", "clock_freeze")
RESOURCES = ("cpu_hog", "memory_limit", "file_descriptors")
PROCESS = ("kill", "stop", "pause", "restart")

World = Callable[[Path], AbstractContextManager[TinyFleet]]


class DeafPod(TinyPod):
    """Says that it is a FLEET-Q pod, and obeys nothing."""

    is_fleetq = True


@contextmanager
def dead(folder: Path) -> Iterator[TinyFleet]:
    with echoes(folder, 3) as fleet:
        for pod in fleet.pods:
            pod.kill()
        yield fleet


@contextmanager
def dead_fleetq(folder: Path) -> Iterator[TinyFleet]:
    with fleetq(folder) as fleet:
        fleet.pods[0].kill()
        yield fleet


@contextmanager
def deaf(folder: Path) -> Iterator[TinyFleet]:
    (folder / "fleet.db").touch()
    pods = [DeafPod(0, folder, python(ECHO, "{port}"))]
    with running(TinyFleet(folder, pods, f"sqlite:///{folder}/fleet.db")) as fleet:
        yield fleet


@contextmanager
def linked(folder: Path) -> Iterator[TinyFleet]:
    """Nobody says a word."""
    with echoes(folder, 3) as fleet:
        links = Links()
        fleet.links = links
        for pod in fleet.pods:
            links.add_edge("client", pod.name, pod.address)
        yield fleet
        links.close()


WORLDS: dict[str, World] = {
    **dict.fromkeys((*PROCESS, *RESOURCES), dead),
    **dict.fromkeys((*DISK, *CLOCK, "crash_at", "held_write_lock"), deaf),
    **dict.fromkeys(NETWORK, linked),
    "power_loss": dead_fleetq,
}


def inject(fleet: TinyFleet, name: str, **settings: object) -> Injection:
    fault = Registry().make(name, **settings)
    return Injection(fault, fleet.pods, record=lambda *_: None).start(fleet)


def complaint(injection: Injection) -> str:
    """Why the test fails, now and still when it is healed."""
    with pytest.raises(FaultHadNoEffect) as now:
        injection.check_effect()
    injection.heal()
    with pytest.raises(FaultHadNoEffect):
        injection.check_effect()
    return str(now.value)


def test_no_fault_is_left_out() -> None:
    assert WORLDS.keys() == BUILT_IN.keys()


@pytest.mark.parametrize("name", WORLDS)
def test_a_fault_without_effect_fails_the_test(name: str, tmp_path: Path) -> None:
    with WORLDS[name](tmp_path) as fleet:
        assert complaint(inject(fleet, name)).startswith(f"fault '{name}' on pod-0")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        *((name, {"toxicity": 0.0}) for name in TOXICS),
        ("latency", {"latency": 0.0, "jitter": 0.0}),
        ("bandwidth", {"rate": 1e9}),
        ("slow_close", {"delay": 0.0}),
        ("slicer", {"average_size": 1_000_000, "size_variation": 0}),
        ("limit_data", {"bytes": 1_000_000}),
        ("corrupt", {"every": 1_000_000}),
    ],
)
def test_traffic_that_a_toxic_spares_is_no_evidence(
    tmp_path: Path, name: str, settings: dict[str, object]
) -> None:
    with linked(tmp_path) as fleet:
        injection = inject(fleet, name, **settings)
        assert isinstance(fleet.links, Links)
        assert ask(fleet.links.address(("client", "pod-0"))) == b"hello"
        assert complaint(injection).startswith(f"fault '{name}' on pod-0")


@pytest.mark.skipif(bool(strace.unavailable()), reason=str(strace.unavailable()))
@pytest.mark.parametrize("name", DISK)
def test_a_traced_process_that_leaves_its_disk_alone_is_no_evidence(
    tmp_path: Path, name: str
) -> None:
    program = "import sys; kept = open('kept', 'w')\n" + ECHO
    with running(TinyFleet(tmp_path, [TinyPod(0, tmp_path, python(program, "{port}"))])) as fleet:
        injection = inject(fleet, name)
        assert ask(fleet.pods[0].address) == b"hello"
        assert complaint(injection).startswith(f"fault '{name}' on pod-0")


@pytest.mark.parametrize("name", ["memory_limit", "file_descriptors"])
def test_a_limit_above_the_one_there_is_changes_nothing(tmp_path: Path, name: str) -> None:
    with echoes(tmp_path) as fleet, inject(fleet, name) as lower:
        assert complaint(inject(fleet, name, headroom=1000)).startswith(f"fault '{name}' on pod-0")
    assert lower.check_effect()
