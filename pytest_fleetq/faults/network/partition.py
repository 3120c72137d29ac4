from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_fleetq.faults.base import Fault, FleetView, PodView
from pytest_fleetq.faults.network.hearing import Cuts


@dataclass
class Partition(Fault):
    """The pods are cut off from all others, not from each other. Connections are reset; `silent`ly,
    they stay, and nothing passes, as when packets are lost. A pod that is added while this lasts is
    one of the others.

    With `one_way` they are still heard, but hear nothing; if they `hear`, they are not heard. With
    `client` false, the test's own client is not cut off."""

    name = "partition"
    colour = "#e80"
    needs_links = True
    one_way: bool = False
    hear: bool = False
    silent: bool = False
    client: bool = True
    _cuts: Cuts = field(default_factory=Cuts)

    def __post_init__(self) -> None:
        if self.hear and not self.one_way:
            raise ValueError("hear=True is about a one-way partition: say one_way=True too")

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        inside = {pod.name for pod in pods}

        def silence(listener: str, speaker: str) -> bool:
            if not self.client and "client" in (listener, speaker):
                return False
            if (listener in inside) == (speaker in inside):
                return False
            return not self.one_way or (listener in inside) != self.hear

        self._cuts.impose(fleet, silence, quietly=self.silent)

    def heal(self) -> None:
        self._cuts.lift()

    def effect(self) -> str | None:
        return self._cuts.effect()
