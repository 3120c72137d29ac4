"""Series in words and characters, for terminals."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from pytest_fleetq.perf.changes import Change
from pytest_fleetq.perf.gate.words import change as in_percent
from pytest_fleetq.perf.gate.words import number
from pytest_fleetq.perf.trend.series import Series

HEADINGS = ("benchmark", "metric", "machine", "runs", "course", "level", "last", "last change")
BARS = "▁▂▃▄▅▆▇█"
COURSE_WIDTH = 24


def rows(all_series: Sequence[Series]) -> Iterator[Sequence[str]]:
    for series in all_series:
        changes = series.changes
        yield (
            f"{series.benchmark} ({series.work})" if series.work else series.benchmark,
            series.metric,
            series.machine,
            str(len(series.points)),
            course(series.values),
            number(series.level),
            number(series.values[-1]),
            describe(series, changes[-1]) if changes else "",
        )


def describe(series: Series, change: Change) -> str:
    """`worse by +12.3 % at 1f0c2d3e4f (2026-01-15)`."""
    point = series.points[change.at]
    word = {True: "worse", False: "better", None: "changed"}[series.is_worse(change)]
    return f"{word}, {in_percent(change.ratio)} {where(point.commit, point.timestamp)}"


def where(commit: str, timestamp: str) -> str:
    day = timestamp[:10]
    return f"at {commit} ({day})" if commit else f"on {day}"


def course(values: Sequence[float]) -> str:
    """A bar for each run, or for the median of some neighbours; the lowest value has the lowest."""
    width = min(COURSE_WIDTH, len(values))
    edges = [round(i * len(values) / width) for i in range(width + 1)]
    heights = [median(values[a:b]) for a, b in pairwise(edges)]
    low, high = min(heights), max(heights)
    if low == high:
        return BARS[0] * width
    top = len(BARS) - 1
    return "".join(BARS[round(top * (height - low) / (high - low))] for height in heights)
