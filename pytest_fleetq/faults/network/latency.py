from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class Latency(ToxicFault):
    """What is said arrives `latency` milliseconds later, give or take `jitter`."""

    name = "latency"
    latency: float = number(50.0)
    jitter: float = number(10.0)

    def attributes(self) -> Mapping[str, float]:
        return {"latency": self.latency, "jitter": self.jitter}
