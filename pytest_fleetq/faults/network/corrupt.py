from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class Corrupt(ToxicFault):
    """One bit is flipped in one byte of every `every`."""

    name = "corrupt"
    every: int = number(1000, low=1)

    def attributes(self) -> Mapping[str, float]:
        return {"every": self.every}
