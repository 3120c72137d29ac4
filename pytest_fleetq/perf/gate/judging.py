"""What pairs of runs say about each metric. Knows nothing of how they were measured.

Two thresholds, a statistical and a practical one: REGRESSION needs a p-value small enough and a
change large enough; PASS needs an interval that leaves no room for twice that change. All else is
INCONCLUSIVE, and calls for more pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from statistics import median

from pytest_fleetq.perf.gate.samples import Key, Series
from pytest_fleetq.perf.metrics import Better, Judging
from pytest_fleetq.perf.statistics import (
    RESAMPLES,
    Interval,
    bootstrap_ratio,
    holm,
    label_swap_p,
    ratio_of_medians,
)

FEWEST_PAIRS = 7  # with fewer, no p-value can be small, and an interval says nothing
TOO_FEW = "too few pairs to tell"


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105
    REGRESSION = "REGRESSION"
    INCONCLUSIVE = "INCONCLUSIVE"
    SHOWN = "SHOWN"  # not a primary metric: for people


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one metric.

    Attributes:
        base, head: Medians.
        ratio: Of the medians, head over base; `interval` holds it with 95 % confidence.
        p: How probable so great a worsening is if there is none.
    """

    key: Key
    verdict: Verdict
    pairs: int
    is_count: bool
    judging: Judging | None = None
    base: float | None = None
    head: float | None = None
    ratio: float | None = None
    interval: Interval | None = None
    p: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """
    Attributes:
        alpha: The chance of any false suspicion among the primary metrics, at one look.
        resamples: Random draws behind an interval.
    """

    alpha: float
    resamples: int = RESAMPLES


def judge(series: Sequence[Series], rules: Rules, rng: Random) -> list[Finding]:
    """A finding for each, those in doubt INCONCLUSIVE."""
    findings = [_first_look(one, rules, rng) for one in series]
    doubted = [finding for finding in findings if finding.p is not None]
    rejected = holm([finding.p or 0.0 for finding in doubted], rules.alpha)
    suspects = {
        finding.key
        for finding, small_p in zip(doubted, rejected, strict=True)
        if small_p and _is_large(finding)
    }
    return [
        replace(finding, verdict=Verdict.REGRESSION) if finding.key in suspects else finding
        for finding in findings
    ]


def judge_constant_counts(series: Sequence[Series]) -> list[Finding]:
    """Only of counts that never vary: few pairs are enough for those."""
    return list(_constant_counts(series))


def _constant_counts(series: Sequence[Series]) -> Iterator[Finding]:
    for one in series:
        if one.is_count and one.constant and len(one.complete) == len(one.values):
            yield _exact(one)


def _first_look(series: Series, rules: Rules, rng: Random) -> Finding:
    if len(series.complete) < len(series.values):
        return _incomplete(series)
    if series.is_count and series.constant:
        return _exact(series)
    if not _is_by_ratio(series):
        return _not_a_ratio(series)
    return _by_ratio(series, rules, rng)


def _is_by_ratio(series: Series) -> bool:
    if series.is_count and series.constant:
        return False
    pairs = series.complete
    return len(pairs) == len(series.values) and all(min(pair) > 0 for pair in pairs)


def _finding(series: Series, verdict: Verdict, note: str = "") -> Finding:
    base, head = _medians(series)
    return Finding(
        series.key,
        verdict,
        len(series.values),
        series.is_count,
        series.judging,
        base,
        head,
        head / base if base and head is not None else None,
        note=note,
    )


def _medians(series: Series) -> tuple[float | None, float | None]:
    base, head = ([pair[side] for pair in series.values] for side in (0, 1))
    return _median(base), _median(head)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _exact(series: Series) -> Finding:
    base, head = series.complete[0]
    return _finding(series, Verdict.REGRESSION if head > base else Verdict.PASS, "exact")


def _incomplete(series: Series) -> Finding:
    base, head = ([pair[side] for pair in series.values] for side in (0, 1))
    if all(value is None for value in base):
        return _finding(series, Verdict.SHOWN, "new")
    note = "gone" if all(value is None for value in head) else "missing in some runs"
    return _finding(series, _if_primary(series, Verdict.INCONCLUSIVE), note)


def _not_a_ratio(series: Series) -> Finding:
    pairs = series.complete
    if series.is_count and max(h for _, h in pairs) <= min(b for b, _ in pairs):
        return _finding(series, Verdict.PASS)
    return _finding(series, _if_primary(series, Verdict.INCONCLUSIVE), "0 or less in some runs")


def _by_ratio(series: Series, rules: Rules, rng: Random) -> Finding:
    """p and interval; its verdict is PASS or INCONCLUSIVE so far."""
    pairs = series.complete
    interval = bootstrap_ratio(pairs, rng, resamples=rules.resamples)
    known = replace(
        _finding(series, _if_primary(series, Verdict.INCONCLUSIVE)),
        ratio=ratio_of_medians(pairs),
        interval=interval,
        note="a count that varies" if series.is_count else "",
    )
    judging = series.judging
    if judging is None or not judging.primary:
        return known
    lower_is_better = judging.better is Better.LOWER
    worse = pairs if lower_is_better else [(head, base) for base, head in pairs]
    known = replace(known, p=label_swap_p(worse))
    if len(pairs) < FEWEST_PAIRS:
        return replace(known, note=TOO_FEW)
    passed = _worst(interval, judging) < 1 + judging.tolerance
    return replace(known, verdict=Verdict.PASS) if passed else known


def _worst(interval: Interval, judging: Judging) -> float:
    """How many times worse head may be for all one knows."""
    return interval.high if judging.better is Better.LOWER else 1 / interval.low


def _is_large(finding: Finding) -> bool:
    if finding.judging is None or finding.base is None or finding.head is None:
        return False
    if finding.pairs < FEWEST_PAIRS:
        return False
    return finding.judging.worse(finding.base, finding.head) > 1 + finding.judging.min_effect


def _if_primary(series: Series, verdict: Verdict) -> Verdict:
    return verdict if series.primary else Verdict.SHOWN
