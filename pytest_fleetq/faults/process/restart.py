from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.process.ending import Ended
from pytest_fleetq.faults.settings import number


@dataclass
class Restart(Fault):
    """Ends each pod, one after the other, and starts it again before the next one's turn. With
    `graceful` they get SIGTERM and `grace` seconds, otherwise SIGKILL."""

    name = "restart"
    graceful: bool = True
    grace: float = number(10.0)
    _ended: Ended = field(default_factory=Ended)

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            self._ended.end(pod, self._end)
            pod.start()

    def heal(self) -> None:
        self._ended.start_again()

    def effect(self) -> str | None:
        return self._ended.effect("restarted")

    def _end(self, pod: PodView) -> None:
        if self.graceful:
            pod.stop(self.grace)
        else:
            pod.kill()
