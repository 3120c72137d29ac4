"""What a benchmark is: one of ours, or one that another distribution brings, as such an object
under the benchmark's name in the entry-point group `fleetq.benches`."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.report import Report

GROUP = "fleetq.benches"
NAMES = (
    "claiming",
    "cycle",
    "submits",
    "latency",
    "recovery",
    "fairness",
    "backlog",
    "memory",
)


class Bench(NamedTuple):
    measure: Callable[[Plan], Report]
    sizes: Sizes  # unless told otherwise


def contributed() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP))}
