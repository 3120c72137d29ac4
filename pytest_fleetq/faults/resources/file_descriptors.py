import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.resources.limits import Limits
from pytest_fleetq.faults.settings import number


@dataclass
class FileDescriptors(Fault):
    """The pod can open `headroom` more files or connections than it has open now, and no more."""

    name = "file_descriptors"
    colour = "#777"
    headroom: int = number(0)
    _limits: Limits = field(
        default_factory=lambda: Limits(resource.RLIMIT_NOFILE, "file descriptors")
    )

    @classmethod
    def unavailable(cls) -> str | None:
        return None if sys.platform.startswith("linux") else "limits of other processes need Linux"

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            if pod.alive:
                self._limits.lower(pod, lowest_limit(proc.descriptors(pod.pid), self.headroom))

    def heal(self) -> None:
        self._limits.restore()

    def effect(self) -> str | None:
        return self._limits.effect()


def lowest_limit(used: Sequence[int], more: int) -> int:
    """The limit is on the number of a descriptor, not on how many there are; the lowest free one is
    taken first. So it must be such that `more` free numbers lie below it."""
    taken, limit = set(used), 0
    while more > 0 or limit in taken:
        more -= limit not in taken
        limit += 1
    return limit
