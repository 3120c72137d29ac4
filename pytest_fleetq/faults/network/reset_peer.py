from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.settings import number


@dataclass
class ResetPeer(ToxicFault):
    """Connections are reset `timeout` milliseconds after they began, or after this began."""

    name = "reset_peer"
    timeout: float = number(0.0)

    def attributes(self) -> Mapping[str, float]:
        return {"timeout": self.timeout}
