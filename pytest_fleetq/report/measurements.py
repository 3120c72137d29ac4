"""What was measured during a run: `measurements.json` in its bundle, which the report draws.

    {"format": 1,
     "budgets":    [{"expression": "claim.p99 <= 50ms", "measured": 12.4, "limit": 50, "unit": "ms",
                     "margin": 4.03, "verdict": "pass", "note": ""}],
     "operations": [{"name": "claim", "phase": "steady", "count": 9000, "errors": 2, "rate": 450.0,
                     "latency": {"p50": 1.9, "p99": 12.4, "max": 31.0}}],
     "series":     [{"name": "claim.p99", "unit": "ms", "points": [[0.5, 11.0], [1.5, 12.4]]},
                    {"name": "cpu", "unit": "%", "pod": "pod-0", "points": [[0.5, 31.0]]}]}

All times are seconds since the history of the run began, so that faults and curves share an axis.
Series of pods are drawn one chart per name, with a curve for each pod; all others one chart per
unit. Fields that are not named here are ignored, those with a default below may be left out.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self, TypeVar

from pytest_fleetq.verdict.model import Verdict

FORMAT = 1
FILE = "measurements.json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Budget:
    """One threshold of `perf_budget`, and how it ended."""

    expression: str  # as written in the test
    measured: float | None  # None: there is no number, and `note` says why
    limit: float
    margin: float | None  # how many times better than the limit; below 1 it is broken
    verdict: Verdict
    unit: str = ""  # of measured and limit
    note: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of call in one phase of the run."""

    name: str
    count: int
    phase: str = ""
    errors: int = 0
    rate: float | None = None  # a second
    latency: Mapping[str, float] = field(default_factory=dict)  # p50, p99, max …: milliseconds


@dataclass(frozen=True, slots=True)
class Series:
    """One curve."""

    name: str
    unit: str
    points: tuple[tuple[float, float], ...]  # (seconds since the history began, value)
    pod: str | None = None


@dataclass(frozen=True, slots=True)
class Measurements:
    budgets: tuple[Budget, ...] = ()
    operations: tuple[Operation, ...] = ()
    series: tuple[Series, ...] = ()

    def to_json(self) -> str:
        """Raises: ValueError where a number is not finite."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises: ValueError, naming the entry that is wrong."""
        whole = json.loads(text)
        if not isinstance(whole, dict) or whole.get("format") != FORMAT:
            raise ValueError(f"these are no measurements of format {FORMAT}")
        return cls(
            _entries(whole, "budgets", _budget),
            _entries(whole, "operations", _operation),
            _entries(whole, "series", _series),
        )


def _entries(whole: Mapping[str, Any], name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    found = _entry(name, whole.get(name, []), _list)
    return tuple(_entry(f"{name}[{index}]", each, read) for index, each in enumerate(found))


def _entry(where: str, told: object, read: Callable[[Any], T]) -> T:
    try:
        return read(told)
    except KeyError as error:
        raise ValueError(f"{where}: {error} is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{where}: {error}") from None


def _list(told: object) -> list[object]:
    if not isinstance(told, list):
        raise TypeError("this must be a list")
    return told


def _budget(told: Mapping[str, Any]) -> Budget:
    return Budget(
        str(told["expression"]), _number_or_none(told["measured"]), _number(told["limit"]),
        _number_or_none(told["margin"]), Verdict(told["verdict"]), str(told.get("unit", "")),
        str(told.get("note", "")),
    )  # fmt: skip


def _operation(told: Mapping[str, Any]) -> Operation:
    return Operation(
        str(told["name"]), int(told["count"]), str(told.get("phase", "")),
        int(told.get("errors", 0)), _number_or_none(told.get("rate")),
        {str(name): _number(value) for name, value in told.get("latency", {}).items()},
    )  # fmt: skip


def _series(told: Mapping[str, Any]) -> Series:
    points = tuple((_number(at), _number(value)) for at, value in told["points"])
    pod = told.get("pod")
    return Series(str(told["name"]), str(told["unit"]), points, None if pod is None else str(pod))


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)
