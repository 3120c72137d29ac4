"""What a plugin or a conftest can add. Functions of these names, marked with nothing: pytest finds
them. Each is called once per pytest process, before the first cluster, unless it says otherwise.
A third party needs about thirty lines for a fault and a launcher: see `examples/fleetq_redis.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_fleetq.cluster.fleet import Fleet
    from pytest_fleetq.cluster.plan import Launcher
    from pytest_fleetq.cluster.readiness import Probe
    from pytest_fleetq.faults.base import Fault
    from pytest_fleetq.verdict.model import Checker


def pytest_fleetq_launchers() -> "Mapping[str, Launcher] | None":
    """Ways to start a pod, for `cluster(3, launcher="name", …)`.

    → by name a function that is given a `pytest_fleetq.cluster.plan.Plan` (index, folder, port,
    peers, the call's further arguments) for each pod, and returns a `Command` or a list of words.
    """


def pytest_fleetq_faults() -> "Iterable[type[Fault]] | None":
    """Faults, for `inject_failure("name", …)`.

    → subclasses of `pytest_fleetq.faults.base.Fault`; one may replace a built-in fault.
    """


def pytest_fleetq_probes() -> "Mapping[str, Callable[[str], Probe]] | None":
    """Ways to find out whether a pod is ready, for `cluster(…, ready="word:argument")`.

    → by word a function of what follows the colon, which returns the probe: called with the pod
    again and again until it returns something true.
    """


def pytest_fleetq_stores() -> "Mapping[str, Callable[[Path], str]] | None":
    """Kinds of store, for `cluster(…, store="name")`.

    → by name a function that is given the cluster's folder and returns the URL of a new store.
    """


def pytest_fleetq_checkers() -> "Iterable[Checker] | None":
    """Rules for histories, asked at the end of each test beside the default ones.

    → objects as in `pytest_fleetq.verdict.model.Checker`.
    """


def pytest_fleetq_cluster_ready(fleet: "Fleet") -> None:
    """Called when all pods of a new cluster are ready."""


def pytest_fleetq_cluster_ending(fleet: "Fleet") -> None:
    """Called before a cluster is ended, its pods as the test left them."""


def pytest_fleetq_report_sections(fleet: "Fleet") -> Sequence[tuple[str, str]] | None:
    """Called for each cluster of a test that failed.

    → (title, text) of sections for its report.
    """
