"""Who hears whom, and how the links are made to obey.

A link leads from a source to a target: what the source says flows upstream, the answers downstream.
"""

import threading
from collections.abc import Callable, Iterable, Sequence

from pytest_fleetq.faults.base import FleetView, LinksView
from pytest_fleetq.faults.names import counted

Edge = tuple[str, str]
Deafness = Callable[[str, str], bool]
"""Whether a listener, the first, hears nothing of a speaker, the second."""


def apart(inside: Iterable[str], outside: Iterable[str]) -> set[tuple[str, str]]:
    """Nobody inside hears anybody outside, nor the other way round."""
    outside = list(outside)
    return {pair for a in inside for b in outside for pair in ((a, b), (b, a))}


def bridge(names: Sequence[str]) -> set[tuple[str, str]]:
    """Two halves that do not hear each other, and the one in the middle whom both hear.
    → pairs of a listener and whom it does not hear"""
    middle = len(names) // 2
    return apart(names[:middle], names[middle + 1 :])


def ring(names: Sequence[str]) -> set[tuple[str, str]]:
    """Everybody hears a majority, and no two the same one: those next to them in the ring. With 5
    it is the neighbour on either side; with 3 only the next, who does not hear back.
    → pairs of a listener and whom it does not hear"""
    size = len(names)
    near = {_step(number, size) for number in range(size // 2 + 1)}
    return {
        (names[i], names[(i + far) % size])
        for i in range(size)
        for far in range(size)
        if far not in near
    }


def _step(number: int, size: int) -> int:
    """0, +1, −1, +2, −2, … around the ring."""
    distance = (number + 1) // 2
    return distance % size if number % 2 else -distance % size


class Cuts:
    """What one injection did to the links, those made meanwhile too, and how to undo it."""

    def __init__(self) -> None:
        self._links: LinksView | None = None
        self._unwatch: Callable[[], object] = lambda: None
        self._turn = threading.Lock()  # a pod may be added in one thread and this healed in another
        self._cut: list[Edge] = []
        self._toxics: list[tuple[Edge, str]] = []
        self._before: dict[Edge, int] = {}
        self._seen: dict[Edge, int] = {}

    def impose(self, fleet: FleetView, silence: Deafness, *, quietly: bool) -> None:
        """Connections over a link of which both ends are deaf are reset, and none is taken;
        `quietly`, or if only one is, they stay and what is said waits, as if packets were lost."""
        links = self._links = fleet.links

        def impose(edge: Edge) -> None:
            with self._turn:
                self._impose(links, edge, silence, quietly)

        self._unwatch = links.watch(impose)

    def _impose(self, links: LinksView, edge: Edge, silence: Deafness, quietly: bool) -> None:
        source, target = edge
        streams = [
            stream
            for stream, pair in (("upstream", (target, source)), ("downstream", (source, target)))
            if silence(*pair)
        ]
        if len(streams) == 2 and not quietly:
            self._before[edge] = _refusals(links, edge)
            self._cut.append(edge)
            links.cut(edge)
            return
        for stream in streams:
            added = links.add_toxic(edge, "timeout", stream, {"timeout": 0})
            self._toxics.append((edge, added))

    def lift(self) -> None:
        self._unwatch()
        with self._turn:
            self._look()
            if self._links is not None:
                self._lift(self._links)

    def _lift(self, links: LinksView) -> None:
        while self._cut:
            links.mend(self._cut[-1])
            self._cut.pop()
        while self._toxics:
            links.remove_toxic(self._toxics[-1][1])
            self._toxics.pop()

    def effect(self) -> str | None:
        with self._turn:
            self._look()
        met = [
            f"{source} → {target} {counted(n, 'time')}"
            for (source, target), n in self._seen.items()
            if n
        ]
        return f"cut off: {', '.join(met)}" if met else None

    def _look(self) -> None:
        if self._links is None:
            return
        for edge in self._cut:
            self._seen[edge] = _refusals(self._links, edge) - self._before[edge]
        for edge in {edge for edge, _ in self._toxics}:
            hits = self._links.hits(edge)
            self._seen[edge] = sum(hits.get(toxic, 0) for at, toxic in self._toxics if at == edge)


def _refusals(links: LinksView, edge: Edge) -> int:
    hits = links.hits(edge)
    return hits.get("refused", 0) + hits.get("reset", 0)
