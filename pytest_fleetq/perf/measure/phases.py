"""The parts of a test, cut by its faults: before the first, while one is in force, after each.

What was under way while a fault was in force belongs to the fault, though it began before or ended
after: so the steady phase shows the system as it is, and no stall escapes by having begun early.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

STEADY = "steady"


class FaultSpan(NamedTuple):
    """Seconds of the monotonic clock."""

    name: str
    start: float
    end: float  # infinite: it was never healed


class Span(NamedTuple):
    start: float
    end: float

    def overlap(self, other: "Span") -> float:
        """Seconds in both."""
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


class Phase(NamedTuple):
    name: str  # "": the whole test
    spans: tuple[Span, ...]  # in order, apart from each other
    touching: bool = False  # whether what only reaches into a span belongs to it

    def has(self, start: float, end: float) -> bool:
        """Whether what lasted from then to then belongs to it."""
        if self.touching:
            return any(start < span.end and end > span.start for span in self.spans)
        return any(span.start <= start and end <= span.end for span in self.spans)

    def covers(self, moment: float) -> bool:
        return any(span.start <= moment < span.end for span in self.spans)

    def seconds(self, within: Span) -> float:
        return sum(span.overlap(within) for span in self.spans)


WHOLE = Phase("", (Span(-math.inf, math.inf),))


class Phases:
    def __init__(self, faults: Sequence[FaultSpan]) -> None:
        self.faults = sorted(faults, key=lambda fault: fault.start)

    def __getitem__(self, name: str) -> Phase:
        """By its name in a budget. A fault that never was gives a phase without spans."""
        if not name:
            return WHOLE
        if name == STEADY:
            first = self.faults[0].start if self.faults else math.inf
            return Phase(STEADY, (Span(-math.inf, first),))
        side, _, fault = name.partition(":")
        chosen = _named(fault) if fault else _any
        if side.startswith("during"):
            return Phase(name, self._during(chosen), touching=True)
        return Phase(name, self._after(chosen))

    @property
    def names(self) -> list[str]:
        """All there were, for people."""
        faults = list(dict.fromkeys(fault.name for fault in self.faults))
        if not faults:
            return [""]
        by_fault = [f"{side}:{name}" for name in faults for side in ("during", "after")]
        return ["", STEADY, "during_fault", "after_fault", *by_fault]

    def _during(self, chosen: Callable[[FaultSpan], bool]) -> tuple[Span, ...]:
        spans: list[Span] = []
        for fault in filter(chosen, self.faults):
            if spans and fault.start <= spans[-1].end:
                spans[-1] = Span(spans[-1].start, max(spans[-1].end, fault.end))
            else:
                spans.append(Span(fault.start, fault.end))
        return tuple(spans)

    def _after(self, chosen: Callable[[FaultSpan], bool]) -> tuple[Span, ...]:
        """From the end of each to the start of the next, if there is time between."""
        spans = []
        for fault in filter(chosen, self.faults):
            following = [other for other in self.faults if other.end > fault.end]
            until = min((other.start for other in following), default=math.inf)
            if fault.end < until:
                spans.append(Span(fault.end, until))
        return tuple(dict.fromkeys(sorted(spans)))


def _any(_: FaultSpan) -> bool:
    return True


def _named(name: str) -> Callable[[FaultSpan], bool]:
    return lambda fault: fault.name == name
