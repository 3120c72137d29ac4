from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_fleetq.faults.storage.disk import DiskFault
from pytest_fleetq.faults.storage.strace import SYNCS, WRITES


@dataclass
class IoError(DiskFault):
    """Every write, every sync, or both fail with an I/O error."""

    name = "io_error"
    on: Literal["write", "sync", "both"] = "write"

    def orders(self) -> Mapping[str, float]:
        found = {"write_error": self.on != "sync", "sync_error": self.on != "write"}
        return {name: True for name, ordered in found.items() if ordered}

    def tampering(self) -> Sequence[tuple[Sequence[str], str]]:
        calls = {"write": WRITES, "sync": SYNCS, "both": (*WRITES, *SYNCS)}
        return [(calls[self.on], "error=EIO")]
