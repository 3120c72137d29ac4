"""From a threshold and what was measured to a verdict."""

import math

from pytest_fleetq.perf.budget.grammar import Threshold
from pytest_fleetq.perf.budget.metrics import UNITS, About, Sort
from pytest_fleetq.perf.measure.calls import Reading
from pytest_fleetq.perf.measure.measure import Measured
from pytest_fleetq.report.measurements import Budget
from pytest_fleetq.verdict import Verdict

WORDS = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.UNKNOWN: "not known"}


def judge(threshold: Threshold, measured: Measured, invalid: str = "") -> Budget:
    """`invalid` says why nothing that was seen of calls is to be trusted, if so."""
    if invalid and threshold.subject.metric.about is not About.PODS:
        return _budget(threshold, Verdict.UNKNOWN, None, None, invalid)
    value, note = measured.read(threshold.subject)
    if value is None:
        return _budget(threshold, Verdict.UNKNOWN, None, None, note)
    verdict = Verdict.PASS if threshold.holds(value) else Verdict.FAIL
    if math.isinf(value):
        return _budget(threshold, verdict, None, None, f"never within the test, {note}")
    return _budget(threshold, verdict, value, _margin(threshold, value), note)


def describe(budget: Budget) -> str:
    """One line: what was asked, what was measured, how far apart."""
    if budget.measured is None:
        return f"{budget.expression}: {WORDS[budget.verdict]}, {budget.note}"
    figure = f"{_shown(budget.measured)}{budget.unit}"
    note = f" ({budget.note})" if budget.note else ""
    return f"{budget.expression}: {WORDS[budget.verdict]}, {figure}{_times(budget.margin)}{note}"


def tell(reading: Reading, sort: Sort) -> str:
    """A figure in the unit that suits it."""
    if reading.value is None:
        return reading.note
    units = [(factor, unit) for unit, factor in UNITS[sort].items() if factor <= reading.value]
    factor, unit = max(units, default=(1.0, next(iter(UNITS[sort]))))
    return f"{_shown(reading.value / factor)}{unit}"


def _budget(
    threshold: Threshold, verdict: Verdict, value: float | None, margin: float | None, note: str
) -> Budget:
    factor = threshold.factor
    measured = None if value is None else value / factor
    limit = threshold.limit / factor
    return Budget(threshold.expression, measured, limit, margin, verdict, threshold.unit, note)


def _margin(threshold: Threshold, value: float) -> float | None:
    """How many times better than asked. Of a success rate: how many times fewer failures."""
    good, limit = value, threshold.limit
    ceiling = threshold.is_ceiling
    if threshold.subject.name == "success_rate":
        good, limit, ceiling = 100 - value, 100 - limit, not ceiling
    above, below = (limit, good) if ceiling else (good, limit)
    return above / below if below > 0 else None


def _times(margin: float | None) -> str:
    if not margin:
        return ""
    if margin >= 1:
        return f", {_shown(margin)} times better"
    return f", {_shown(1 / margin)} times worse"


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.4g}"
