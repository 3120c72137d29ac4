"""What a benchmark found: each line a figure, the raw limit beside it, and what it must reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


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
    """One figure. `samples` and `raw` were measured in turns, one of each per round."""

    what: str
    unit: str
    samples: Sequence[float]
    raw: Sequence[float] = ()
    target: Target | None = None
    summary: Callable[[Sequence[float]], float] = median

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

    def document(self) -> dict[str, object]:
        return {
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "raw": self.raw_value,
            "ratio": self.ratio,
            "target": self.target.text(self.unit) if self.target else None,
            "reached": self.reached,
            "samples": list(self.samples),
            "raw_samples": list(self.raw),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """One benchmark's lines. `problems` are steps lost or counted wrongly: there must be none."""

    bench: str
    lines: Sequence[Line]
    problems: Sequence[str]
    conditions: Mapping[str, object] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        return not self.problems and all(line.reached is not False for line in self.lines)

    def document(self) -> dict[str, object]:
        return {
            "bench": self.bench,
            "reached": self.reached,
            "lines": [line.document() for line in self.lines],
            "problems": list(self.problems),
            "conditions": dict(self.conditions),
        }
