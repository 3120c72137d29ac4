from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.process.ending import Ended
from pytest_fleetq.faults.settings import number


@dataclass
class Stop(Fault):
    """SIGTERM, and SIGKILL to what has not ended after `grace` seconds. Heals by starting the pod
    again, unless `restart` is false."""

    name = "stop"
    grace: float = number(10.0)
    restart: bool = True
    _ended: Ended = field(default_factory=Ended)

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            self._ended.end(pod, lambda pod: pod.stop(self.grace))

    def heal(self) -> None:
        if self.restart:
            self._ended.start_again()

    def effect(self) -> str | None:
        return self._ended.effect("stopped")
