from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_fleetq.faults.settings import number
from pytest_fleetq.faults.storage.disk import DiskFault
from pytest_fleetq.faults.storage.strace import SYNCS


@dataclass
class SlowSync(DiskFault):
    """Every sync takes `delay` seconds longer."""

    name = "slow_sync"
    delay: float = number(0.1, above=0, high=60)

    def orders(self) -> Mapping[str, float]:
        return {"slow_sync": self.delay}

    def tampering(self) -> Sequence[tuple[Sequence[str], str]]:
        return [(SYNCS, f"delay_enter={int(self.delay * 1_000_000)}")]
