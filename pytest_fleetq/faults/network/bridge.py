from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import BadTarget
from pytest_fleetq.faults.network.hearing import Cuts, bridge


@dataclass
class Bridge(Fault):
    """The pods fall into two halves that do not hear each other; one in the middle hears both. The
    client, and whatever is not a target, hears everybody."""

    name = "bridge"
    colour = "#e80"
    needs_links = True
    usual_target = "all"
    silent: bool = False
    _cuts: Cuts = field(default_factory=Cuts)

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        if len(pods) < 3:
            raise BadTarget(f"a bridge needs at least 3 pods, not {len(pods)}")
        self._cuts.impose(fleet, bridge([pod.name for pod in pods]), quietly=self.silent)

    def heal(self) -> None:
        self._cuts.lift()

    def effect(self) -> str | None:
        return self._cuts.effect()
