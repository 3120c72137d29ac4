from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.process.ending import Ended


@dataclass
class Kill(Fault):
    """SIGKILL: no farewell, no cleaning up. Heals by starting the pod again, unless `restart` is
    false."""

    name = "kill"
    restart: bool = True
    _ended: Ended = field(default_factory=Ended)

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            self._ended.end(pod, lambda pod: pod.kill())

    def heal(self) -> None:
        if self.restart:
            self._ended.start_again()

    def effect(self) -> str | None:
        return self._ended.effect("killed")
