"""Counting values by size. Not prometheus_client's own: that takes a lock and a call per value,
while here a whole transaction is counted at once, on the event loop."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple


class Counted(NamedTuple):
    """A histogram as of one moment."""

    bounds: tuple[float, ...]
    cumulative: tuple[int, ...]  # values up to each bound; the last is that of all
    total: float


class Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` ascending; a value is counted under the first that is not below it."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def add_all(self, values: Iterable[float]) -> None:
        """Those below 0, of a clock that went back, count as 0."""
        ordered = sorted(values)  # then each bucket is one search, and no value is looked at
        if ordered and ordered[0] < 0:
            ordered = [max(0.0, value) for value in ordered]
        below = 0
        for index, bound in enumerate(self._bounds):
            if below == len(ordered):
                break
            upto = bisect_right(ordered, bound, below)
            self._counts[index] += upto - below
            below = upto
        self._counts[-1] += len(ordered) - below
        self._total += sum(ordered)

    def counted(self) -> Counted:
        return Counted(self._bounds, tuple(accumulate(self._counts)), self._total)
