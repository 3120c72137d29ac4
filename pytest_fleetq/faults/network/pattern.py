"""What the partitions by a pattern have in common."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.errors import BadTarget
from pytest_fleetq.faults.network.hearing import Cuts


@dataclass
class Pattern(Fault):
    """Says, of at least 3 pods, who does not hear whom; everybody else hears everybody."""

    colour = "#e80"
    needs_links = True
    usual_target = "all"
    silent: bool = False
    _cuts: Cuts = field(default_factory=Cuts)

    @abstractmethod
    def silence(self, names: Sequence[str]) -> set[tuple[str, str]]:
        """Pairs of a listener and whom it does not hear."""

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        if len(pods) < 3:
            raise BadTarget(f"a {self.name} needs at least 3 pods, not {len(pods)}")
        pairs = self.silence([pod.name for pod in pods])
        self._cuts.impose(fleet, lambda *pair: pair in pairs, quietly=self.silent)

    def heal(self) -> None:
        self._cuts.lift()

    def effect(self) -> str | None:
        return self._cuts.effect()
