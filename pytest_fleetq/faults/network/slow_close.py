from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class SlowClose(ToxicFault):
    """That a connection is closed is told `delay` milliseconds later."""

    name = "slow_close"
    delay: float = number(1000.0)

    def attributes(self) -> Mapping[str, float]:
        return {"delay": self.delay}
