"""From pytest's configuration to what tests with clusters share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq.cluster.common import Common
from pytest_fleetq.cluster.extensions import Extensions
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.markers.checkers import extra_checkers
from pytest_fleetq.reproducing import reproducing
from pytest_fleetq.trial import House, Rules, Trial

_NODES: Mapping[str, type[pytest.Collector]] = {
    "class": pytest.Class,
    "module": pytest.Module,
    "session": pytest.Session,
}


class Keeper:
    """Holds the session of one pytest process."""

    def __init__(self, config: pytest.Config, options: Mapping[str, Any]) -> None:
        self._options = options
        folder: Path | None = options["dir"]
        paths = [config.rootpath, config.invocation_params.dir]
        session = Session(None if folder is None else folder.absolute(), paths)
        if options["keep"]:
            session.keep()
        self.kept = session.directory if options["keep"] else None
        hook = config.hook
        extensions = Extensions(
            _merged(hook.pytest_fleetq_launchers()),
            _merged(hook.pytest_fleetq_probes()),
            _merged(hook.pytest_fleetq_stores()),
        )

        def ready(fleet: Fleet) -> None:
            hook.pytest_fleetq_cluster_ready(fleet=fleet)

        def ending(fleet: Fleet) -> None:
            hook.pytest_fleetq_cluster_ending(fleet=fleet)

        self._house = House(
            session,
            Common(session, extensions, ready, ending),
            extensions,
            _registry(hook.pytest_fleetq_faults()),
            extra_checkers(config),
            options["seed"],
            options["keep"],
            ready=ready,
            ending=ending,
        )
        self._open = True

    def trial(self, item: pytest.Item) -> Trial:
        return Trial(self._house, item.nodeid, item.path.parent, self._rules(item))

    def close(self) -> None:
        if self._open:
            self._open = False
            self._house.close()

    def _rules(self, item: pytest.Item) -> Rules:
        marked: dict[str, Any] = {}
        for marker in item.iter_markers("fleetq"):  # the closest comes first, and counts
            marked = {**marker.kwargs, **marked}
        told = {**self._options, **marked}
        node = _home(item, told["scope"])
        return Rules(
            home=f"{told['scope']} {node.nodeid}" if node else "",
            common=told["scope"] == "run",
            checkers=tuple(told["checkers"]),
            silence=tuple(told["silence"]),
            timeout=told["timeout"],
            # Whoever measures pays for no watcher.
            follow=item.get_closest_marker("performance") is None,
            again=reproducing(item, self._options["seed"]),
            at_end_of_home=node.addfinalizer if node else lambda _: None,
        )


def _home(item: pytest.Item, scope: str) -> pytest.Collector | None:
    if scope in ("function", "run"):
        return None
    node = item.getparent(_NODES[scope])
    # A test outside any class has its module for a home, as with pytest's own fixtures.
    return node or item.getparent(pytest.Module)


def _merged(found: list[Mapping[str, Any]]) -> dict[str, Any]:
    # The plugin registered last is asked first, and should win.
    return {name: value for one in reversed(found) for name, value in one.items()}


def _registry(found: list[Any]) -> Registry:
    registry = Registry()
    for kinds in reversed(found):
        for kind in kinds:
            registry.add(kind)
    return registry
