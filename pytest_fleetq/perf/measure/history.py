"""What a history tells of time: calls from when they should have begun, faults, and the journal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pytest_fleetq.perf.measure.phases import FaultSpan
from pytest_fleetq.verdict.lines import Record, records_in
from pytest_fleetq.verdict.records import Outcome

INTENDED = "intended"  # of a call by a load driver: when its turn was, in seconds of the history


class Call(NamedTuple):
    """A call, or the life of a step; in seconds of the monotonic clock."""

    name: str
    start: float  # when it should have begun
    end: float  # of what is not over: when the measurement ended
    outcome: Outcome
    number: int = 1  # of things it was about: a thousand steps at once are a thousand
    where: str = ""  # the pod, if that is known

    @property
    def seconds(self) -> float:
        return max(0.0, self.end - self.start)


class Happening(NamedTuple):
    """An event of the fleet's journal, at its place on the monotonic clock."""

    seq: int  # the order in which the store did things
    type: str
    at: float
    holder: str
    steps: tuple[int, ...]
    detail: Mapping[str, Any]


class Submitted(NamedTuple):
    start: float  # when its submit should have begun
    run_at: float  # when it may run at the earliest


@dataclass(slots=True)
class Story:
    """One history, from `since` on."""

    began: float = 0.0  # of the history, on the monotonic clock
    calls: list[Call] = field(default_factory=list)
    faults: list[FaultSpan] = field(default_factory=list)
    journal: list[Happening] = field(default_factory=list)
    submitted: dict[int, Submitted] = field(default_factory=dict)


def read_story(path: Path, since: float, now: float) -> Story:
    """Reads the history at `path`; calls and faults that began before `since` are left out."""
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        return _Reader(since, now).read(record for _, record in records_in(lines))


class _Reader:
    def __init__(self, since: float, now: float) -> None:
        self._since = since
        self._now = now
        self._story = Story()
        self._wall = 0.0
        self._open: dict[object, Record] = {}
        self._faults: dict[object, tuple[str, float]] = {}
        self._journal: dict[int, Happening] = {}

    def read(self, records: Iterable[Record]) -> Story:
        for record in records:
            match record["type"]:
                case "invoke":
                    self._open[record["id"]] = record
                case "ok" | "fail" | "info" if record["id"] in self._open:
                    self._ended(self._open.pop(record["id"]), record)
                case "event":
                    self._event(record)
                case "fault":
                    self._fault(record)
                case "header":
                    self._story.began = float(record["monotonic"])
                    self._wall = self._story.began - float(record["wall"])
        self._finish()
        return self._story

    def _ended(self, call: Record, end: Record) -> None:
        start, outcome = self._start(call), Outcome(end["type"])
        if start < self._since:
            return
        answer = end.get("value") or {}
        self._add(call, start, self._at(end), outcome, _number(answer))
        if call["name"] == "submit" and outcome is Outcome.OK:
            self._note_steps(start, answer)

    def _note_steps(self, start: float, answer: Mapping[str, Any]) -> None:
        several = answer.get("steps")
        for index, step in enumerate(answer.get("step_ids") or ()):
            about = several[index] if several else answer
            run_at = about.get("run_at")
            due = start if run_at is None else self._wall + run_at
            self._story.submitted[step] = Submitted(start, due)

    def _event(self, record: Record) -> None:
        at = self._wall + record["at"]
        holder, detail = record.get("holder") or "", record.get("detail") or {}
        steps = tuple(record.get("step_ids") or ())
        seq = record["seq"]
        # Several processes may have read the same journal.
        self._journal[seq] = Happening(seq, record["event"], at, holder, steps, detail)

    def _fault(self, record: Record) -> None:
        if record["stage"] == "start":
            self._faults[record["id"]] = (record["name"], self._at(record))
        elif record["stage"] == "end" and record["id"] in self._faults:
            name, start = self._faults.pop(record["id"])
            self._add_fault(name, start, self._at(record))

    def _finish(self) -> None:
        self._story.journal = [self._journal[seq] for seq in sorted(self._journal)]
        for call in self._open.values():
            if (start := self._start(call)) >= self._since:
                self._add(call, start, max(start, self._now), Outcome.INFO, 1)
        for name, start in self._faults.values():
            self._add_fault(name, start, float("inf"))

    def _add(self, call: Record, start: float, end: float, outcome: Outcome, number: int) -> None:
        self._story.calls.append(Call(call["name"], start, end, outcome, number))

    def _add_fault(self, name: str, start: float, end: float) -> None:
        if end >= self._since:
            self._story.faults.append(FaultSpan(name, start, end))

    def _start(self, call: Record) -> float:
        intended = (call.get("value") or {}).get(INTENDED)
        return self._at(call) if intended is None else self._story.began + float(intended)

    def _at(self, record: Record) -> float:
        return self._story.began + float(record["t"])


def _number(answer: Mapping[str, Any]) -> int:
    for name in ("step_ids", "claims", "items"):
        if isinstance(answer.get(name), list):
            return len(answer[name])
    return 1
