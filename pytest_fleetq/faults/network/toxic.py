"""What the faults that are a toxic of the proxy have in common."""

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pytest_fleetq.faults.base import Fault, FleetView, LinksView, PodView
from pytest_fleetq.faults.errors import BadTarget
from pytest_fleetq.faults.names import counted
from pytest_fleetq.faults.settings import number

_STREAMS = {
    "upstream": ["upstream"],
    "downstream": ["downstream"],
    "both": ["upstream", "downstream"],
}


@dataclass
class ToxicFault(Fault):
    """Acts on every link to or from the pods, those made meanwhile too; from `source` only, if that
    is named. `stream`: what whoever opened the connection sends is upstream, what it receives is
    downstream. `toxicity`: the share of connections that it acts on, drawn once for each."""

    colour = "#e80"
    needs_links = True
    stream: Literal["downstream", "upstream", "both"] = "downstream"
    toxicity: float = number(1.0, high=1)
    source: str = ""
    _toxics: list[tuple[LinksView, tuple[str, str], str]] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)  # as in Cuts
    _unwatch: Callable[[], object] = lambda: None

    @abstractmethod
    def attributes(self) -> Mapping[str, float]:
        """The toxic's, by toxiproxy's names."""

    def start(self, fleet: FleetView, pods: Sequence[PodView]) -> None:
        names, links = {pod.name for pod in pods}, fleet.links

        def poison(edge: tuple[str, str]) -> None:
            if names & set(edge) and self.source in {"", edge[0]}:
                with self._turn:
                    self._poison(links, edge)

        self._unwatch = links.watch(poison)
        if not self._toxics:
            where = f" from {self.source!r}" if self.source else ""
            raise BadTarget(
                f"fault {self.name!r}: no link{where} leads to or from {', '.join(names)}"
            )

    def heal(self) -> None:
        self._unwatch()
        with self._turn:
            self._look()
            while self._toxics:
                links, _, toxic = self._toxics[-1]
                links.remove_toxic(toxic)
                self._toxics.pop()

    def effect(self) -> str | None:
        with self._turn:
            self._look()
        total = sum(self._seen.values())
        return (
            f"{self.name} acted {counted(total, 'time')} on {counted(len(self._seen), 'stream')}"
            if total
            else None
        )

    def _poison(self, links: LinksView, edge: tuple[str, str]) -> None:
        for stream in _STREAMS[self.stream]:
            toxic = links.add_toxic(edge, self.name, stream, self.attributes(), self.toxicity)
            self._toxics.append((links, edge, toxic))

    def _look(self) -> None:
        for links, edge, toxic in self._toxics:
            if hits := links.hits(edge).get(toxic, 0):
                self._seen[toxic] = hits
