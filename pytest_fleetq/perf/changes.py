"""Where a series of measurements changed for good.

E-divisive statistic (Matteson and James, 2014) to place a split, Student's t-test to believe it, in
windows, and from the weakest to the strongest, as in Hunter (Fleming et al., ICPE 2023). For
histories, and people who look into what it finds; no gate: a change shows after some runs only.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from pytest_fleetq.perf.statistics import t_test_p

WINDOW = 50
SIGNIFICANT = 0.001
WEAK = 10 * SIGNIFICANT  # enough to be looked at again, beside its neighbours
LEAST_CHANGE = 0.05
SHORTEST = 5  # runs, before and after


class Change(NamedTuple):
    """Attributes: at: position of the first value after it; ratio: geometric means, after over
    before."""

    at: int
    ratio: float
    p: float


def find_changes(values: Sequence[float]) -> list[Change]:
    """In ascending order; values must be above 0. None in less than ten values."""
    logs = [math.log(value) for value in values]
    splits = sorted({split for start in _windows(len(logs)) for split in _splits(logs, start)})
    while splits:
        found = list(_changes(logs, splits))
        weakest = max(found, key=_doubt)
        if _doubt(weakest) <= 1:
            return found
        splits.remove(weakest.at)
    return []


def _windows(length: int) -> range:
    return range(0, max(1, length - WINDOW // 2), WINDOW // 2)


def _splits(logs: Sequence[float], start: int) -> Iterator[int]:
    return _bisect(logs, start, min(start + WINDOW, len(logs)))


def _bisect(logs: Sequence[float], begin: int, end: int) -> Iterator[int]:
    split = best_split(logs[begin:end])
    if split is None:
        return
    at = begin + split
    if t_test_p(logs[begin:at], logs[at:end]) <= WEAK:
        yield from _bisect(logs, begin, at)
        yield at
        yield from _bisect(logs, at, end)


def best_split(values: Sequence[float]) -> int | None:
    """Where the values before differ the most from those after. None: there are too few."""
    best, where = -math.inf, None
    left, right = 0.0, _distances(values)
    total = right
    for at in range(1, len(values)):
        moved = values[at - 1]
        left += sum(abs(moved - value) for value in values[: at - 1])
        right -= sum(abs(moved - value) for value in values[at:])
        if SHORTEST <= at <= len(values) - SHORTEST:
            divergence = _divergence(at, len(values) - at, left, right, total - left - right)
            if divergence > best:
                best, where = divergence, at
    return where


def _distances(values: Sequence[float]) -> float:
    return sum(abs(a - b) for i, a in enumerate(values) for b in values[:i])


def _divergence(m: int, n: int, left: float, right: float, across: float) -> float:
    """Of sums of distances among m values, among n others, and from these to those."""
    within = 2 * left / (m * (m - 1)) + 2 * right / (n * (n - 1))
    return m * n / (m + n) * (2 * across / (m * n) - within)


def _changes(logs: Sequence[float], splits: Sequence[int]) -> Iterator[Change]:
    for (begin, at), (_, end) in pairwise(pairwise([0, *splits, len(logs)])):
        before, after = logs[begin:at], logs[at:end]
        ratio = math.exp(fmean(after) - fmean(before))
        yield Change(at, ratio, _p(before, after))


def _p(before: Sequence[float], after: Sequence[float]) -> float:
    return t_test_p(before, after) if min(len(before), len(after)) >= SHORTEST else 1.0


def _doubt(change: Change) -> float:
    """Above 1: not believed."""
    if abs(math.log(change.ratio)) < math.log1p(LEAST_CHANGE):
        return 2 / SIGNIFICANT
    return change.p / SIGNIFICANT
