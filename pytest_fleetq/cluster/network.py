"""Proxies of a cluster: one for each direction that traffic can take."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_fleetq.faults.proxy.links import Links


class Network:
    def __init__(self) -> None:
        # Most clusters have no links, and need not load them.
        self.links: Links = import_module("pytest_fleetq.faults.proxy.links").Links()
        self._edges: dict[tuple[str, str], str] = {}

    def edge(self, source: str, target: str, host: str, port: int) -> str:
        """The address at which `source` reaches `target`; the same one over restarts."""
        known = self._edges.get((source, target))
        if known is None:
            known = self.links.add_edge(source, target, f"{host}:{port}")
            self._edges[source, target] = known
        return known

    def close(self) -> None:
        self.links.close()
