"""Faults while a history is read: how much was going on before each began and ended."""

from dataclasses import dataclass

from pytest_fleetq.verdict.lines import Record
from pytest_fleetq.verdict.records import NOTHING, Fault, Stir, Value


@dataclass(frozen=True, slots=True)
class Activity:
    """What a history has told so far."""

    completions: int  # operations that are over
    open: int  # those that are not
    events: int
    step_events: int

    def since(self, before: "Activity") -> Stir:
        return Stir(
            self.completions + self.open - before.completions,
            self.events - before.events,
            self.step_events - before.step_events,
        )


class Span:
    def __init__(self, line: int, record: Record, before: Activity) -> None:
        self.effects: list[Value] = []
        self._record = record
        self._line = line
        self._before = before
        self._end: tuple[int, float, Activity] | None = None

    def heal(self, line: int, moment: float, by_then: Activity) -> None:
        if self._end is None:  # healing is idempotent
            self._end = (line, moment, by_then)

    def told(self, finally_: Activity) -> Fault:
        line, moment, then = self._end or (None, None, finally_)
        return Fault(
            name=self._record["name"],
            target=str(self._record.get("target", "")),
            detail=self._record.get("detail") or NOTHING,
            start=self._record["t"],
            end=moment,
            start_line=self._line,
            end_line=line,
            effects=tuple(self.effects),
            during=then.since(self._before),
            since=finally_.since(self._before),
        )
