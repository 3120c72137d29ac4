from collections.abc import Sequence
from dataclasses import dataclass

from pytest_fleetq.faults.network.hearing import bridge
from pytest_fleetq.faults.network.pattern import Pattern


@dataclass
class Bridge(Pattern):
    """The pods fall into two halves that do not hear each other; one in the middle hears both. The
    client, and whatever is not a target, hears everybody."""

    name = "bridge"

    def silence(self, names: Sequence[str]) -> set[tuple[str, str]]:
        return bridge(names)
