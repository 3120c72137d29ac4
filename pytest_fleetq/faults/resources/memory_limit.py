import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.resources.limits import Limits
from pytest_fleetq.faults.settings import number

MEGABYTE = 1_000_000


@dataclass
class MemoryLimit(Fault):
    """The pod's address space may grow by `headroom` megabytes from what it is now, and no further:
    allocations fail."""

    name = "memory_limit"
    colour = "#777"
    headroom: float = number(0.0)
    _limits: Limits = field(default_factory=lambda: Limits(resource.RLIMIT_AS, "bytes of memory"))

    @classmethod
    def unavailable(cls) -> str | None:
        return None if sys.platform.startswith("linux") else "limits of other processes need Linux"

    def start(self, _fleet: FleetView, pods: Sequence[PodView]) -> None:
        for pod in pods:
            if pod.alive:
                now = int(proc.status(pod.pid, "VmSize").split()[0]) * 1024
                self._limits.lower(pod, now + int(self.headroom * MEGABYTE))

    def heal(self) -> None:
        self._limits.restore()

    def effect(self) -> str | None:
        return self._limits.effect()
