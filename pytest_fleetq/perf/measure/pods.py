"""Watches the processes of pods: processor time, memory, descriptors, threads.

Ten times a second, from a thread, with what a pod started counted as its own. Processor time is
the kernel's count and misses nothing between looks; of memory Linux remembers the peak.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import psutil

from pytest_fleetq.cluster.errors import ClusterError
from pytest_fleetq.cluster.reaper import parents
from pytest_fleetq.faults import proc

LOOK_SECONDS = 0.1
LOOKS_PER_LOOK_AROUND = 20


class PodProcess(Protocol):
    """A pod, as far as it is watched."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...


class Sample(NamedTuple):
    at: float  # monotonic
    cpu: float  # seconds since its start
    rss: int  # bytes
    fds: int
    threads: int


class Run:
    """One process of a pod, and what it started; a pod that was started again has several."""

    def __init__(self, pod: str, pid: int) -> None:
        self.pod = pod
        self.pid = pid
        self.samples: list[Sample] = []
        self._family = {pid: psutil.Process(pid)}
        self._first_peak = self._last_peak = _peak(pid)

    @property
    def rss_peak(self) -> int:
        """While it was watched. An earlier peak that was not reached again does not count."""
        seen = max((sample.rss for sample in self.samples), default=0)
        return max(seen, self._last_peak if self._last_peak > self._first_peak else 0)

    def look_around(self, children: set[int]) -> None:
        """Takes in new children, and what the kernel remembers."""
        for pid in children - self._family.keys():
            with suppress(psutil.Error):
                self._family[pid] = psutil.Process(pid)
        self._last_peak = max(self._last_peak, _peak(self.pid))

    def look(self, now: float) -> None:
        found = [sample for each in self._family.values() if (sample := _sample(each, now))]
        if not found:
            return
        before = self.samples[-1].cpu if self.samples else 0.0
        cpu = sum(sample.cpu for sample in found)
        self.samples.append(
            # Never less than before, though a child may have ended unseen.
            Sample(now, max(before, cpu), sum(s.rss for s in found), sum(s.fds for s in found),
                   sum(s.threads for s in found))
        )  # fmt: skip


class Watch:
    """Watches the pods there are, and those that come, until it is stopped."""

    def __init__(self, pods: Callable[[], Sequence[tuple[str, PodProcess]]]) -> None:
        """`pods` gives all pods, each with the name it is to have in what is measured."""
        self._pods = pods
        self._runs: dict[tuple[str, int], Run] = {}
        self._looking = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="fleetq-watch", daemon=True)

    @property
    def runs(self) -> list[Run]:
        with self._looking:
            return [run for run in self._runs.values() if run.samples]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Looks a last time. Harmless when repeated."""
        if not self._stopped.is_set():
            self._stopped.set()
            self._thread.join()
            self.look(around=True)

    def look(self, *, around: bool = False) -> None:
        """Args: `around`: for new children too, which means to look at every process there is."""
        now = time.monotonic()  # the same for all, so that they can be added up
        with self._looking:
            pods = self._pods()
            known = list(parents()) if around and pods else []
            for name, pod in pods:
                # A pod may end at any moment, and one that is asked for has no pid yet.
                with suppress(psutil.Error, OSError, ClusterError):
                    if pod.alive:
                        run = self._run(name, pod.pid)
                        if around:
                            run.look_around(descendants(pod.pid, known))
                        run.look(now)

    def _run(self, name: str, pid: int) -> Run:
        if (name, pid) not in self._runs:
            self._runs[name, pid] = Run(name, pid)
        return self._runs[name, pid]

    def _loop(self) -> None:
        looks = 0
        while not self._stopped.wait(LOOK_SECONDS):
            self.look(around=looks % LOOKS_PER_LOOK_AROUND == 0)
            looks += 1


def descendants(root: int, known: Sequence[tuple[int, int]]) -> set[int]:
    """Args: `known`: (pid, its parent's) of all processes."""
    found = {root}
    while new := {pid for pid, parent in known if parent in found and pid not in found}:
        found |= new
    return found - {root}


def _sample(process: psutil.Process, now: float) -> Sample | None:
    try:
        with process.oneshot():
            times = process.cpu_times()
            # What its children used is told by themselves while they live, and then by it.
            cpu = times.user + times.system + times.children_user + times.children_system
            rss = process.memory_info().rss
            return Sample(now, cpu, rss, process.num_fds(), process.num_threads())
    except psutil.Error:
        return None


def _peak(pid: int) -> int:
    """Bytes; 0 where the kernel does not tell."""
    words = proc.status(pid, "VmHWM").split()
    return int(words[0]) * 1024 if words else 0
