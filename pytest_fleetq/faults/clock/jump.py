from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.clock.faketime import FalseClock
from pytest_fleetq.faults.clock.skew import ClockFault
from pytest_fleetq.faults.settings import number


@dataclass
class ClockJump(ClockFault):
    """The wall clock is `seconds` ahead, or behind if negative; healing sets it right."""

    name = "clock_jump"
    seconds: float = number(60.0, low=-1e9, high=1e9)

    def orders(self) -> Mapping[str, float]:
        return {"clock_jump": self.seconds}

    def falsify(self, clock: FalseClock) -> None:
        clock.jump(self.seconds)
