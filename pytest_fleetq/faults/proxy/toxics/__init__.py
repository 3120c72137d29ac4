"""Toxics by name, and a toxic as it was ordered for a link."""

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_fleetq.faults.proxy.toxics.bandwidth import Bandwidth
from pytest_fleetq.faults.proxy.toxics.base import Toxic
from pytest_fleetq.faults.proxy.toxics.corrupt import Corrupt
from pytest_fleetq.faults.proxy.toxics.latency import Latency
from pytest_fleetq.faults.proxy.toxics.limit_data import LimitData
from pytest_fleetq.faults.proxy.toxics.reset_peer import ResetPeer
from pytest_fleetq.faults.proxy.toxics.slicer import Slicer
from pytest_fleetq.faults.proxy.toxics.slow_close import SlowClose
from pytest_fleetq.faults.proxy.toxics.timeout import Timeout

TOXICS: Mapping[str, type[Toxic]] = {
    kind.name: kind
    for kind in (Bandwidth, Corrupt, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout)
}


@dataclass(frozen=True, slots=True)
class Poison:
    """A toxic on a link; each connection it acts on gets a `Toxic` of its own."""

    id: str
    toxic: str
    stream: str
    attributes: Mapping[str, float]
    toxicity: float

    def make(self) -> Toxic:
        return TOXICS[self.toxic](**self.attributes)

    def check(self) -> None:
        """Raises: ValueError, in words for whoever ordered it."""
        if self.toxic not in TOXICS:
            raise ValueError(f"no toxic {self.toxic!r}; there is {', '.join(sorted(TOXICS))}")
        if self.stream not in {"upstream", "downstream"}:
            raise ValueError(f"stream {self.stream!r} must be upstream or downstream")
        try:
            self.make()
        except TypeError:
            given = ", ".join(self.attributes)
            raise ValueError(
                f"toxic {self.toxic!r} has not all of these attributes: {given}"
            ) from None
