import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.waiting import until


@dataclass
class Pause(Fault):
    """SIGSTOP: the pod hangs as a whole, and its connections with it. Heals by SIGCONT."""

    name = "pause"
    _paused: list[PodView] = field(default_factory=list)
    _seen: dict[str, str] = field(default_factory=dict)

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            if not pod.alive:
                continue
            self._paused.append(pod)
            pod.signal(signal.SIGSTOP)
            until(partial(_stopped_or_gone, pod), f"{pod.name} stops", 5.0)
            if pod.alive:
                self._seen[pod.name] = proc.state(pod.pid)

    def heal(self) -> None:
        while self._paused:
            pod = self._paused[-1]
            if pod.alive:
                pod.signal(signal.SIGCONT)
                until(partial(_goes_on, pod), f"{pod.name} goes on", 5.0)
            self._paused.pop()

    def effect(self) -> str | None:
        seen = [f"{name} in state {state}" for name, state in self._seen.items()]
        return ", ".join(seen) or None


def _goes_on(pod: PodView) -> bool:
    return proc.state(pod.pid) != "T"


def _stopped_or_gone(pod: PodView) -> bool:
    return not pod.alive or proc.all_stopped(pod.pid)
