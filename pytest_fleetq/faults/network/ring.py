from collections.abc import Sequence
from dataclasses import dataclass

from pytest_fleetq.faults.network.hearing import ring
from pytest_fleetq.faults.network.pattern import Pattern


@dataclass
class Ring(Pattern):
    """Every pod hears a majority of the pods, and no two hear the same one. The client, and
    whatever is not a target, hears everybody."""

    name = "ring"

    def silence(self, names: Sequence[str]) -> set[tuple[str, str]]:
        return ring(names)
