from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.clock.faketime import FalseClock
from pytest_fleetq.faults.clock.skew import ClockFault


@dataclass
class ClockFreeze(ClockFault):
    """The wall clock stands still; healing sets it right."""

    name = "clock_freeze"

    def orders(self) -> Mapping[str, float]:
        return {"clock_freeze": True}

    def falsify(self, clock: FalseClock) -> None:
        clock.freeze()
