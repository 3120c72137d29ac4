from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class Timeout(ToxicFault):
    """Connections are taken and nothing passes; after `timeout` milliseconds they are closed. With
    0 they stay, and when this heals what was held passes after all, as TCP would send it again."""

    name = "timeout"
    timeout: float = number(0.0)

    def attributes(self) -> Mapping[str, float]:
        return {"timeout": self.timeout}
