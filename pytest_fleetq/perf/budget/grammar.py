"""The language of thresholds: `claim.p99{during_fault} <= 2s`.

threshold  = [scope "."] metric ["{" phase "}"] comparator amount
scope      = an operation | pod-0, pod-1, … | total | machine | recovery
phase      = steady | during_fault | after_fault | during:FAULT | after:FAULT
comparator = "<=" | ">=" | "<" | ">"
amount     = a number and, right behind it, its unit
"""

import difflib
import operator
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from pytest_fleetq.perf.budget.metrics import (
    MACHINE,
    METRICS,
    NAMES,
    PERCENTILE,
    RECOVERY,
    TOTAL,
    UNITS,
    About,
    Metric,
)

PHASES = ("steady", "during_fault", "after_fault", "during:FAULT", "after:FAULT")
COMPARATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt
}  # fmt: skip

_NAME = re.compile(r"(?:([A-Za-z_][\w-]*)\.)?(p\d+(?:\.\d+)?|[A-Za-z_]\w*)")
_PHASE = re.compile(r"steady|(?:during|after)_fault|(?:during|after):[\w-]+")
_COMPARATOR = re.compile(r"<=|>=|<|>")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_UNIT = re.compile(r"[A-Za-z%/]*")
_POD = re.compile(r"pod-\d+")


class BadBudget(ValueError):
    """A threshold nobody can read; names the column, and what is allowed there."""

    def __init__(self, expression: str, column: int, problem: str) -> None:
        mark = " " * (column - 1) + "^"
        super().__init__(
            f"budget {expression!r}, column {column}: {problem}\n  {expression}\n  {mark}"
        )


class Subject(NamedTuple):
    """What is measured: the left side of a threshold."""

    scope: str  # "": all there are
    name: str  # of the metric
    phase: str  # "": the whole test
    metric: Metric

    @property
    def percent(self) -> float | None:
        """Of a percentile: which."""
        return float(self.name[1:]) if self.metric is PERCENTILE else None

    def __str__(self) -> str:
        dotted = f"{self.scope}.{self.name}" if self.scope else self.name
        return f"{dotted}{{{self.phase}}}" if self.phase else dotted


class Threshold(NamedTuple):
    expression: str
    subject: Subject
    comparator: str
    limit: float  # in the first unit of its sort
    unit: str  # as written

    @property
    def factor(self) -> float:
        """How many of the first unit one of this unit is."""
        return UNITS[self.subject.metric.sort][self.unit]

    @property
    def is_ceiling(self) -> bool:
        return self.comparator.startswith("<")

    def holds(self, measured: float) -> bool:
        return COMPARATORS[self.comparator](measured, self.limit)


def read_threshold(expression: object) -> Threshold:
    """Raises: BadBudget."""
    if not isinstance(expression, str):
        raise BadBudget(repr(expression), 1, 'give text, such as "claim.p99 <= 50ms"')
    reader = _Reader(expression)
    subject = _subject(reader)
    comparator = reader.take(_COMPARATOR, "one of <=, >=, <, > must follow here")[0]
    number = reader.take(_NUMBER, "an amount must follow here, such as 50ms")[0]
    unit = _unit(reader, subject)
    reader.end()
    limit = float(number) * UNITS[subject.metric.sort][unit]
    return Threshold(expression, subject, comparator, limit, unit)


def read_subject(expression: str) -> Subject:
    """Only the left side. Raises: BadBudget."""
    reader = _Reader(expression)
    subject = _subject(reader)
    reader.end()
    return subject


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def take(self, pattern: re.Pattern[str], otherwise: str) -> re.Match[str]:
        self._skip_blanks()
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self.bad(otherwise)
        self._at = found.end()
        return found

    def has(self, mark: str) -> bool:
        self._skip_blanks()
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def end(self) -> None:
        self._skip_blanks()
        if self._at < len(self._text):
            raise self.bad("nothing may follow here; give each threshold as a text of its own")

    def bad(self, problem: str, at: int | None = None) -> BadBudget:
        return BadBudget(self._text, (self._at if at is None else at) + 1, problem)

    def _skip_blanks(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1


def _subject(reader: _Reader) -> Subject:
    found = reader.take(_NAME, f"a metric must stand here: {NAMES}")
    scope, name = found[1] or "", found[2]
    metric = _metric(name)
    if metric is None:
        near = difflib.get_close_matches(name, METRICS, n=1)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise reader.bad(f"no metric {name!r}{hint}; there is {NAMES}", found.start(2))
    if problem := _misfit(scope, name, metric):
        raise reader.bad(problem, found.start(1) if scope else found.start(2))
    phase = _phase(reader, metric) if reader.has("{") else ""
    return Subject(scope, name, phase, metric)


def _metric(name: str) -> Metric | None:
    if re.fullmatch(r"p\d+(\.\d+)?", name):
        return PERCENTILE if 0 < float(name[1:]) < 100 else None
    return METRICS.get(name)


def _misfit(scope: str, name: str, metric: Metric) -> str:
    of_pods = scope in (TOTAL, MACHINE) or bool(_POD.fullmatch(scope))
    match metric.about:
        case About.PODS if scope == MACHINE and not name.startswith("cpu"):
            return f"{name} is not a share of the machine; there is machine.cpu, machine.cpu_peak"
        case About.PODS if scope and not of_pods:
            return f"{name} is of pods: {name} (the worst one), pod-0.{name} or total.{name}"
        case About.RECOVERY if name == "recovery" and scope:
            return "recovery is of the fleet: nothing may stand before it"
        case About.RECOVERY if name != "recovery" and scope != RECOVERY:
            return f"{name} is a part of recovery: recovery.{name}"
        case About.FLEET if scope and not _POD.fullmatch(scope):
            return f"{name} is of the fleet or of a pod: {name} or pod-0.{name}"
        case About.CALLS if scope in (TOTAL, MACHINE, RECOVERY):
            return f"{name} is of calls and steps: step.{name}, submit.{name}, pod-0.{name}, …"
    return ""


def _phase(reader: _Reader, metric: Metric) -> str:
    if metric.about is About.RECOVERY:
        raise reader.bad("a recovery is of a fault, and has no phases")
    phase = reader.take(_PHASE, f"a phase must stand here: {', '.join(PHASES)}")[0]
    if not reader.has("}"):
        raise reader.bad("the phase must end here with }")
    return phase


def _unit(reader: _Reader, subject: Subject) -> str:
    units = UNITS[subject.metric.sort]
    unit = reader.take(_UNIT, "a unit may stand here")
    if unit[0] not in units:
        allowed = "numbers without a unit" if "" in units else ", ".join(units)
        raise reader.bad(f"{subject.name} is measured in {allowed}", unit.start())
    return unit[0]
