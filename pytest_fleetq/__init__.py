"""Multi-pod tests for pytest: real processes, real failures, and a verdict over what happened.

With the plugin installed, tests ask for the fixtures `cluster` and `inject_failure`. Outside of
fixtures, a cluster is a context manager:

    with pytest_fleetq.Cluster(3, handlers="my_handlers") as fleet:
        …
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fleetq_server import __version__

if TYPE_CHECKING:
    from pytest_fleetq.cluster.fleet import Fleet
    from pytest_fleetq.cluster.plan import Command, Plan
    from pytest_fleetq.cluster.pod import Pod
    from pytest_fleetq.faults.base import Fault
    from pytest_fleetq.faults.schedule import Draw
    from pytest_fleetq.injecting import Injector
    from pytest_fleetq.standalone import Cluster

__all__ = [
    "Cluster",
    "Command",
    "Draw",
    "Fault",
    "Fleet",
    "Injector",
    "Plan",
    "Pod",
    "__version__",
]

_HOMES = {
    "Cluster": "pytest_fleetq.standalone",
    "Command": "pytest_fleetq.cluster.plan",
    "Draw": "pytest_fleetq.faults.schedule",
    "Fault": "pytest_fleetq.faults.base",
    "Fleet": "pytest_fleetq.cluster.fleet",
    "Injector": "pytest_fleetq.injecting",
    "Plan": "pytest_fleetq.cluster.plan",
    "Pod": "pytest_fleetq.cluster.pod",
}


def __getattr__(name: str) -> object:
    """Imported on first use: the plugin is loaded into every run of pytest, whoever's it is."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
