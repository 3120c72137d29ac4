from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class Bandwidth(ToxicFault):
    """At most `rate` kilobytes pass in a second, on each connection."""

    name = "bandwidth"
    rate: float = number(100.0, above=0)

    def attributes(self) -> Mapping[str, float]:
        return {"rate": self.rate}
