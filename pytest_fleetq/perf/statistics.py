"""The statistics behind verdicts, in plain Python: small samples, no other library.

Held against scipy's on the same data by the tests.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from random import Random
from statistics import fmean, median, variance
from typing import NamedTuple

RESAMPLES = 10_000

Pairs = Sequence[tuple[float, float]]


class Interval(NamedTuple):
    low: float
    high: float


def ratio_of_medians(pairs: Pairs) -> float:
    """Second over first."""
    return median(second for _, second in pairs) / median(first for first, _ in pairs)


def label_swap_p(pairs: Pairs) -> float:
    """How probable it is that the second of a pair seems so much greater if it is not.

    One-sided permutation test: without a difference, each pair might as well have been measured
    the other way around. Of all ways to swap them, p is the share that look at least as bad, by
    the sum of ranks of the pairs' ratios (Wilcoxon, 1945; zeros and ties as in Pratt, 1959). That
    sum stays within pairs, where noise that comes in blocks cancels out, and has so few values that
    p is exact for any number of pairs. Ratios of the sides' medians miss one in ten more.
    """
    logs = [math.log(second) - math.log(first) for first, second in pairs]
    ranks = _double_ranks([abs(value) for value in logs])
    observed = sum(rank for rank, value in zip(ranks, logs, strict=True) if value > 0)
    free = [rank for rank, value in zip(ranks, logs, strict=True) if value != 0]
    ways = _ways_to_sum(free)
    as_bad = sum(ways[observed:])
    return float(as_bad / 2 ** len(free))


def _double_ranks(values: Sequence[float]) -> list[int]:
    """Twice the rank, so that ranks shared by equals are whole."""
    ordered = sorted(values)
    return [bisect_left(ordered, value) + bisect_right(ordered, value) + 1 for value in values]


def _ways_to_sum(numbers: Sequence[int]) -> list[int]:
    """At n: how many subsets have n for their sum."""
    ways = [1] + [0] * sum(numbers)
    for number in numbers:
        for total in range(len(ways) - 1, number - 1, -1):
            ways[total] += ways[total - number]
    return ways


def _middle(values: list[float]) -> float:
    """median() without its checks, a third faster."""
    values.sort()
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def bootstrap_ratio(
    pairs: Pairs, rng: Random, confidence: float = 0.95, resamples: int = RESAMPLES
) -> Interval:
    """Interval of the ratio of medians, second over first: pairs are drawn anew, percentiles taken
    (Efron and Tibshirani, 1993)."""
    ratios = sorted(_resampled_ratio(rng.choices(pairs, k=len(pairs))) for _ in range(resamples))
    tail = (1 - confidence) / 2
    return Interval(quantile(ratios, tail), quantile(ratios, 1 - tail))


def _resampled_ratio(pairs: Pairs) -> float:
    return _middle([second for _, second in pairs]) / _middle([first for first, _ in pairs])


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in ascending order, with linear interpolation (type 7 of Hyndman and Fan)."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses are rejected, with a chance below `alpha` of any wrong one (Holm, 1979)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = [False] * len(p_values)
    for rank, position in enumerate(order):
        if p_values[position] > alpha / (len(p_values) - rank):
            break
        rejected[position] = True
    return rejected


def t_test_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Student's t-test for equal means, two-sided. Both need at least one value, together three."""
    degrees = len(one) + len(other) - 2
    spread = sum((len(side) - 1) * variance(side) for side in (one, other) if len(side) > 1)
    difference = fmean(one) - fmean(other)
    if spread == 0:
        return 1.0 if difference == 0 else 0.0
    error = math.sqrt(spread / degrees * (1 / len(one) + 1 / len(other)))
    t = difference / error
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction converges slowly, its mirror does quickly
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return front / a / _beta_fraction(a, b, x)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """1 + d₁/(1 + d₂/(1 + …)), from the inside out."""
    fraction = 1.0
    for m in range(_terms(a, b), 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        fraction = 1 + even / (1 + odd / fraction)
    return 1 - (a + b) * x / (a + 1) / fraction


def _terms(a: float, b: float) -> int:
    """More than enough for full precision left of the mirror."""
    return 40 + math.ceil(4 * math.sqrt(max(a, b)))
