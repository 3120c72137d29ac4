"""Figures of calls: latency, throughput, errors. A figure that too few calls stand behind is none.

A percentile needs ten calls beyond it (p50: 20, p95: 200, p99: 1000, p99.9: 10 000): fewer, and one
slow call more or less decides. Calls that were refused count as errors and not as latencies, or
refusing would look fast; calls whose outcome is unknown count as both.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from pytest_fleetq.perf.histogram import Histogram
from pytest_fleetq.perf.measure.history import Call
from pytest_fleetq.perf.measure.phases import Phase, Span
from pytest_fleetq.verdict.records import Outcome

BEYOND = 10
LEAST_MEAN = 10
LEAST_THROUGHPUT = 10
SHOWN = (50.0, 90.0, 95.0, 99.0, 99.9)


class Reading(NamedTuple):
    """A figure, or why there is none."""

    value: float | None
    note: str = ""


def needed(percent: float) -> int:
    """How many calls a percentile needs."""
    return math.ceil(BEYOND / (1 - percent / 100) - 1e-6)


def latencies(calls: Sequence[Call], phase: Phase) -> Histogram:
    return Histogram(
        call.seconds
        for call in calls
        if call.outcome is not Outcome.FAIL and phase.has(call.start, call.end)
    )


def percentile(found: Histogram, percent: float) -> Reading:
    if found.count < needed(percent):
        best = [f"p{one:g}" for one in SHOWN if found.count >= needed(one)]
        instead = f"; enough for {best[-1]}" if best else ""
        return _too_few(f"p{percent:g}", needed(percent), found.count, instead)
    return Reading(found.percentile(percent), f"of {found.count}")


def mean(found: Histogram) -> Reading:
    if found.count < LEAST_MEAN:
        return _too_few("mean", LEAST_MEAN, found.count)
    return Reading(found.mean, f"of {found.count}")


def longest(found: Histogram) -> Reading:
    return Reading(found.max, f"of {found.count}") if found.count else _too_few("max", 1, 0)


def throughput(calls: Sequence[Call], phase: Phase) -> Reading:
    """Done per second: between the first start and the last end, as far as the phase goes."""
    done = [call for call in calls if call.outcome is Outcome.OK and phase.covers(call.end)]
    number = sum(call.number for call in done)
    if number < LEAST_THROUGHPUT:
        return _too_few("throughput", LEAST_THROUGHPUT, number)
    everything = Span(min(call.start for call in calls), max(call.end for call in calls))
    seconds = phase.seconds(everything)
    if seconds <= 0:
        return Reading(None, "not enough data: all of it at one moment")
    return Reading(number / seconds, f"{number} in {seconds:.3g} s")


def success_rate(calls: Sequence[Call], phase: Phase) -> Reading:
    """Percent."""
    bad, number = failed(calls, phase)
    if not number:
        return _too_few("success_rate", 1, 0)
    return Reading(100 * (number - bad) / number, f"{bad} of {number} failed")


def errors(calls: Sequence[Call], phase: Phase) -> Reading:
    bad, number = failed(calls, phase)
    return Reading(bad, f"of {number}") if number else _too_few("errors", 1, 0)


def failed(calls: Sequence[Call], phase: Phase) -> tuple[int, int]:
    """How many were refused or have an unknown outcome, and of how many."""
    chosen = [call for call in calls if phase.has(call.start, call.end)]
    return sum(call.outcome is not Outcome.OK for call in chosen), len(chosen)


def _too_few(figure: str, wanted: int, found: int, more: str = "") -> Reading:
    return Reading(None, f"not enough data: {figure} needs {wanted}, there are {found}{more}")
