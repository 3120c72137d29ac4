"""What plugins add to clusters, collected from their hooks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_fleetq.cluster.plan import Launcher
from pytest_fleetq.cluster.readiness import Probe

MakeStore = Callable[[Path], str]


@dataclass(frozen=True, slots=True)
class Extensions:
    launchers: Mapping[str, Launcher] = field(default_factory=dict)
    probes: Mapping[str, Callable[[str], Probe]] = field(default_factory=dict)
    stores: Mapping[str, MakeStore] = field(default_factory=dict)
