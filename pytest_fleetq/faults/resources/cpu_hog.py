import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.settings import number
from pytest_fleetq.faults.tether import tethered
from pytest_fleetq.faults.waiting import until

_BURN = Path(__file__).with_name("burn.py")
ENOUGH_SECONDS = 0.02  # of CPU time: then it has had its share at least once


@dataclass
class CpuHog(Fault):
    """The pod must share one CPU with `processes` others that compute without end."""

    name = "cpu_hog"
    colour = "#777"
    processes: int = number(2, low=1, high=256)
    _affinities: list[tuple[PodView, int, dict[int, set[int]]]] = field(default_factory=list)
    _hogs: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _burnt: dict[int, float] = field(default_factory=dict)

    @classmethod
    def unavailable(cls) -> str | None:
        return (
            None if hasattr(os, "sched_setaffinity") else "pinning processes to a CPU needs Linux"
        )

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            if pod.alive:
                cpu = self._pin(pod)
                self._hogs += [_hog(cpu) for _ in range(self.processes)]
        until(self._all_burn, "the hogs burn CPU time", 10.0)

    def heal(self) -> None:
        self._look()
        for hog in self._hogs:
            hog.terminate()
        for hog in self._hogs:
            hog.wait(5.0)
        for pod, pid, before in self._affinities:
            if pod.alive and pod.pid == pid:
                _unpin(pid, before)

    def effect(self) -> str | None:
        total = sum(self._look().values())
        if total < ENOUGH_SECONDS:
            return None
        where = ", ".join(pod.name for pod, _, _ in self._affinities)
        return f"{where}: others burnt {total:.2f} s of its CPU"

    def _pin(self, pod: PodView) -> int:
        allowed = sorted(os.sched_getaffinity(pod.pid))
        cpu = allowed[pod.index % len(allowed)]
        before = {thread: os.sched_getaffinity(thread) for thread in proc.threads(pod.pid)}
        self._affinities.append((pod, pod.pid, before))
        for thread in before:
            with suppress(ProcessLookupError):  # threads come and go
                os.sched_setaffinity(thread, {cpu})
        return cpu

    def _all_burn(self) -> bool:
        return len(self._look()) == len(self._hogs)

    def _look(self) -> dict[int, float]:
        """CPU seconds of those who burn, also when they are gone again."""
        for hog in self._hogs:
            for child in _children(hog.pid):
                if (found := proc.stat(child)) and found.cpu_seconds >= ENOUGH_SECONDS / 2:
                    self._burnt[child] = max(found.cpu_seconds, self._burnt.get(child, 0.0))
        return self._burnt


def _hog(cpu: int) -> "subprocess.Popen[bytes]":
    command = tethered([sys.executable, "-I", "-S", str(_BURN), str(cpu)])
    return subprocess.Popen(command, process_group=0)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _unpin(pid: int, before: dict[int, set[int]]) -> None:
    for thread in proc.threads(pid):
        with suppress(ProcessLookupError):
            # A thread that began meanwhile inherited the pin; it gets what the first one had.
            os.sched_setaffinity(thread, before.get(thread, before[pid]))
