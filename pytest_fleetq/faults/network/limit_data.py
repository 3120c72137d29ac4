from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class LimitData(ToxicFault):
    """A connection is closed when `bytes` bytes have passed."""

    name = "limit_data"
    bytes: int = number(1000)

    def attributes(self) -> Mapping[str, float]:
        return {"bytes": self.bytes}
