"""What a benchmark found: each line a figure, the raw limit beside it, and what it must reach."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median, quantiles

UNIT_OF_NAME = {"steps/s": "per_sec", "% of a core": "percent", "%": "percent"}
PERCENTILES = {50: 20, 90: 20, 95: 20, 99: 100}  # and how many samples it takes to name one


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the figure itself, or on its ratio to the raw limit."""

    limit: float
    at_least: bool = True
    of_ratio: bool = False

    def reached(self, value: float, ratio: float | None) -> bool:
        measured = ratio if self.of_ratio else value
        if measured is None:
            return False
        return measured >= self.limit if self.at_least else measured <= self.limit

    def text(self, unit: str) -> str:
        what = " of raw" if self.of_ratio else f" {unit}" if unit else ""
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g}{what}"


def at_least(limit: float) -> Target:
    return Target(limit)


def at_most(limit: float) -> Target:
    return Target(limit, at_least=False)


def at_least_of_raw(limit: float) -> Target:
    return Target(limit, of_ratio=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One figure. `samples` and `raw` were measured in turns, one of each per round; `metric` is
    its name for programs, unless `what` and the unit make one that will do."""

    what: str
    unit: str
    samples: Sequence[float]
    raw: Sequence[float] = ()
    target: Target | None = None
    summary: Callable[[Sequence[float]], float] = median
    metric: str = ""

    @property
    def name(self) -> str:
        unit = UNIT_OF_NAME.get(self.unit, self.unit).lower()
        words = re.findall(r"[a-z0-9]+", f"{self.what} {unit}".lower())
        return self.metric or "_".join(words)

    @property
    def value(self) -> float:
        return self.summary(self.samples)

    @property
    def raw_value(self) -> float | None:
        return self.summary(self.raw) if self.raw else None

    @property
    def ratio(self) -> float | None:
        """Round by round, for a machine that slows down slows both down."""
        if not self.raw:
            return None
        if len(self.raw) != len(self.samples):
            return self.value / self.summary(self.raw)
        return median(one / raw for one, raw in zip(self.samples, self.raw, strict=True))

    @property
    def reached(self) -> bool | None:
        return None if self.target is None else self.target.reached(self.value, self.ratio)

    @property
    def percentiles(self) -> dict[str, float]:
        found = quantiles(self.samples, n=100, method="inclusive") if self.samples[1:] else []
        return {
            f"p{share}": found[share - 1]
            for share, needed in PERCENTILES.items()
            if len(self.samples) >= needed
        }

    def document(self) -> dict[str, object]:
        return {
            "metric": self.name,
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "raw": self.raw_value,
            "ratio": self.ratio,
            "target": self.target.text(self.unit) if self.target else None,
            "reached": self.reached,
            "percentiles": self.percentiles,
            "samples": list(self.samples),
            "raw_samples": list(self.raw),
        }


def latencies(what: str, samples: Sequence[float], within: float, metric: str) -> list[Line]:
    """Mean and percentiles of milliseconds; only the mean's line keeps the samples."""
    average = Line(
        f"{what}, mean", "ms", samples, (), at_most(within), mean, f"average_{metric}_ms"
    )
    return [
        average,
        *(
            Line(f"{what}, {name}", "ms", [value], metric=f"{name}_{metric}_ms")
            for name, value in average.percentiles.items()
        ),
    ]


@dataclass(frozen=True, slots=True)
class Report:
    """One benchmark's lines. `problems` are steps lost or counted wrongly: there must be none.

    `workload` is what was asked for, `conditions` what else the figures depend on.
    """

    bench: str
    lines: Sequence[Line]
    problems: Sequence[str]
    workload: Mapping[str, object] = field(default_factory=dict)
    conditions: Mapping[str, object] = field(default_factory=dict)
    pictures: Sequence[Path] = ()  # of profiled pods

    @property
    def reached(self) -> bool:
        return not self.problems and all(line.reached is not False for line in self.lines)

    def document(self) -> dict[str, object]:
        return {
            "bench": self.bench,
            "reached": self.reached,
            "lines": [line.document() for line in self.lines],
            "problems": list(self.problems),
            "workload": dict(self.workload),
            "conditions": dict(self.conditions),
        }
