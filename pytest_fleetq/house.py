"""From pytest's configuration to what tests with clusters share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq.cluster.extensions import Extensions
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.trial import House, Rules, Trial
from pytest_fleetq.verdict import choose

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
        session.warm()
        if options["keep"]:
            session.keep()
        self.kept = session.directory if options["keep"] else None
        hook = config.hook
        self._house = House(
            session,
            Extensions(
                _merged(hook.pytest_fleetq_launchers()),
                _merged(hook.pytest_fleetq_probes()),
                _merged(hook.pytest_fleetq_stores()),
            ),
            _registry(hook.pytest_fleetq_faults()),
            [checker for found in hook.pytest_fleetq_checkers() for checker in found],
            options["seed"],
            options["keep"],
            ready=lambda fleet: hook.pytest_fleetq_cluster_ready(fleet=fleet),
            ending=lambda fleet: hook.pytest_fleetq_cluster_ending(fleet=fleet),
        )
        self._open = True

    def trial(self, item: pytest.Item) -> Trial:
        trial = Trial(self._house, item.nodeid, item.path.parent, self._rules(item))
        if limit := _time_limit(item):
            trial.watch(limit)
        return trial

    def close(self) -> None:
        if self._open:
            self._open = False
            self._house.close()

    def _rules(self, item: pytest.Item) -> Rules:
        marked: dict[str, Any] = {}
        for marker in item.iter_markers("fleetq"):  # the closest comes first, and counts
            marked = {**marker.kwargs, **marked}
        told = {**self._options, **marked}
        # Raised here, before anything starts, and not after all has run.
        names, silence = tuple(told["checkers"]), tuple(told["silence"])
        try:
            choose(names or None, silence=silence, extra=self._house.checkers)
        except ValueError as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None
        node = _home(item, told["scope"])
        return Rules(
            f"{told['scope']} {node.nodeid}" if node else "", names, silence, told["timeout"],
            node.addfinalizer if node else lambda _: None,
        )  # fmt: skip


def _time_limit(item: pytest.Item) -> float:
    """Seconds until pytest-timeout strikes; 0 for never."""
    marker = item.get_closest_marker("timeout")
    if marker is not None:
        return float(marker.args[0] if marker.args else marker.kwargs.get("timeout") or 0)
    if not item.config.pluginmanager.hasplugin("timeout"):
        return 0.0
    return float(item.config.getoption("timeout") or item.config.getini("timeout") or 0)


def _home(item: pytest.Item, scope: str) -> pytest.Collector | None:
    if scope == "function":
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
