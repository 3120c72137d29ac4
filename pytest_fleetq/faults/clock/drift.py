from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.clock.faketime import FalseClock
from pytest_fleetq.faults.clock.skew import ClockFault
from pytest_fleetq.faults.settings import number


@dataclass
class ClockDrift(ClockFault):
    """The wall clock runs `rate` times as fast from now on; healing sets it right."""

    name = "clock_drift"
    rate: float = number(1.1, above=0, high=1000)

    def orders(self) -> Mapping[str, float]:
        return {"clock_rate": self.rate}

    def falsify(self, clock: FalseClock) -> None:
        clock.drift(self.rate)
