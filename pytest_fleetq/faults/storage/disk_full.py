from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import PodView
from pytest_fleetq.faults.settings import number
from pytest_fleetq.faults.storage.disk import DiskFault
from pytest_fleetq.faults.storage.strace import WRITES
from pytest_fleetq.faults.storage.tmpfs import Ballast, is_small_disk


@dataclass
class DiskFull(DiskFault):
    """Nothing more fits: files may grow by `room` bytes, then writes fail for lack of space. A pod
    that is not FLEET-Q and lives on a small disk of its own (`tmpfs.mount`) meets a disk that is
    really full; any other meets ENOSPC from strace at every write, whatever `room` says."""

    name = "disk_full"
    room: int = number(0)
    _ballast: list[Ballast] = field(default_factory=list)

    def orders(self) -> Mapping[str, float]:
        return {"disk_full": self.room}

    def tampering(self) -> Sequence[tuple[Sequence[str], str]]:
        return [(WRITES, "error=ENOSPC")]

    def start_foreign(self, pod: PodView) -> None:
        if is_small_disk(pod.directory):
            self._ballast.append(Ballast(pod.directory, self.room))
        else:
            super().start_foreign(pod)

    def heal(self) -> None:
        super().heal()
        for ballast in self._ballast:
            ballast.drop()

    def effect(self) -> str | None:
        found = [super().effect(), *(ballast.effect for ballast in self._ballast)]
        return ", ".join(part for part in found if part) or None
