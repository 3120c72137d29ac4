"""The lives of steps, as columns of numbers: a hundred thousand of them must stay a quick page.

A step's life is a list of entries in the order of time: what the fleet's events tell of it, and
what clients asked for and saw. Each entry has a time, its line in the history, and a code: what it
says, of whom, and whether it opens or ends an attempt.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

from pytest_fleetq.report.lanes import Lanes
from pytest_fleetq.report.moments import Moments
from pytest_fleetq.report.words import Words
from pytest_fleetq.verdict.history import History, StepId
from pytest_fleetq.verdict.records import Happened, Trace

MOST_STEPS = 150_000

MICROSECONDS = 1_000_000

OPENS = "opens"  # an attempt
# How an attempt ended, by the event that ended it; the page has a colour for each.
MARKS = {
    "claimed": OPENS,
    "completed": "completed",
    "retrying": "failed",
    "dead": "dead",
    "recovered": "crashed",
    "released": "released",
    "cancelled": "released",
}
_WRITTEN = {"complete": "completed", "fail": "failed", "release": "released"}
_STATES = {
    "submitted": "PENDING",
    "claimed": "CLAIMED",
    "completed": "COMPLETED",
    "retrying": "waits for its retry",
    "released": "PENDING",
    "recovered": "PENDING",
    "redriven": "PENDING",
    "dead": "FAILED",
    "cancelled": "CANCELLED",
    "pruned": "pruned",
    "purged": "purged",
}

Entry: TypeAlias = tuple[int, int, int]  # µs, line, code


@dataclass(slots=True)
class Columns:
    """All lives told, one after the other; times and lines as differences to the entry before."""

    ids: list[StepId] = field(default_factory=list)
    about: list[int] = field(default_factory=list)  # word: kind and queue
    state: list[int] = field(default_factory=list)  # word
    entries: list[int] = field(default_factory=list)  # how many
    at: list[int] = field(default_factory=list)  # µs
    line: list[int] = field(default_factory=list)
    code: list[int] = field(default_factory=list)
    codes: list[tuple[int, int, int]] = field(default_factory=list)  # words: text, who, mark
    left_out: int = 0  # steps


class Clock:
    """When operations were answered, by the line that says so."""

    def __init__(self) -> None:
        self._lines = array("q")
        self._times = array("q")

    def note(self, line: int, micros: int) -> None:
        """In the order of lines."""
        self._lines.append(line)
        self._times.append(micros)

    def at(self, line: int) -> int:
        """µs; 0 where the line answers no operation."""
        place = bisect_left(self._lines, line)
        found = place < len(self._lines) and self._lines[place] == line
        return self._times[place] if found else 0


class Lives:
    def __init__(self, history: History, lanes: Lanes, clock: Clock, words: Words) -> None:
        self._history = history
        self._lanes = lanes
        self._clock = clock
        self._words = words
        self._moments = Moments(history)
        self._at: dict[int, int] = {}  # by seq: an event of many steps happened once
        self._codes: dict[tuple[int, int, int], int] = {}
        self._known: dict[object, int] = {}  # codes by what they are made from

    def columns(self, wanted: Iterable[StepId] = (), most: int = MOST_STEPS) -> Columns:
        """
        Args:
            wanted: Steps that must be told of.
            most: How many, beside them; those that did not go straight come first.
        """
        columns = Columns()
        steps = self._history.steps
        for step in _choose(self._history, frozenset(wanted), most):
            self._tell(steps[step], columns)
        columns.left_out = len(steps) - len(columns.ids)
        columns.codes = list(self._codes)
        return columns

    def _tell(self, trace: Trace, columns: Columns) -> None:
        # By time, since the journal is read last; what happened at one time, by line.
        entries = sorted([*self._events(trace.events), *self._touches(trace)])
        columns.ids.append(trace.step)
        columns.about.append(self._words.number(_about(trace)))
        columns.state.append(self._words.number(_state(trace)))
        columns.entries.append(len(entries))
        last_at = last_line = 0
        for at, line, code in entries:
            columns.at.append(at - last_at)
            columns.line.append(line - last_line)
            columns.code.append(code)
            last_at, last_line = at, line

    def _events(self, events: Iterable[Happened]) -> Iterator[Entry]:
        for event in events:
            at = self._at.get(event.seq)
            if at is None:
                at = round(self._moments.of(event) * MICROSECONDS)
                self._at[event.seq] = at
            cause = event.detail.get("cause")
            key = (event.type, event.holder, cause)
            code = self._known.get(key)
            if code is None:
                text = f"{event.type}: {cause}" if cause else event.type
                code = self._known[key] = self._code(text, event.holder, MARKS.get(event.type, ""))
            yield at, event.line, code

    def _touches(self, trace: Trace) -> Iterator[Entry]:
        alone = not trace.events  # nobody but clients tells of it
        submitted = [(trace.acknowledged, "submit acknowledged")] if trace.acknowledged else []
        missing = [(trace.missing[1], "read: no such step")] if trace.missing else []
        reads = ((seen.line, f"read as {seen.state}") for seen in trace.reads)
        for line, text in chain(submitted, missing, reads):
            yield self._clock.at(line), line, self._code(text, None, "")
        for claim in trace.claims:
            code = self._code("claim answered", claim.holder, OPENS if alone else "")
            yield self._clock.at(claim.line), claim.line, code
        for write in trace.writes:
            mark = _WRITTEN.get(write.operation, "") if alone else ""
            code = self._code(f"{write.operation} accepted", write.holder, mark)
            yield self._clock.at(write.line), write.line, code

    def _code(self, text: str, holder: str | None, mark: str) -> int:
        number = self._words.number
        who = self._lanes.of_holder(holder) if holder else ""
        return self._codes.setdefault((number(text), number(who), number(mark)), len(self._codes))


def _choose(history: History, wanted: frozenset[StepId], most: int) -> Iterable[StepId]:
    if len(history.steps) <= most:
        return history.steps
    told = {step for step in wanted if step in history.steps}
    told.update(thinned([trace.step for trace in history.unusual], most))
    plain = [step for step in history.steps if step not in told]
    told.update(thinned(plain, most - len(told)))
    return [step for step in history.steps if step in told]


def thinned(steps: Sequence[StepId], most: int) -> Sequence[StepId]:
    """So many of them, evenly."""
    if len(steps) <= most:
        return steps
    return [steps[index * len(steps) // most] for index in range(max(most, 0))]


def _about(trace: Trace) -> str:
    kind = trace.asked.kind if trace.asked else None
    queue = next((event.queue for event in trace.events if event.queue), None)
    return f"{kind or ''}\t{queue or (trace.asked.queue if trace.asked else '') or ''}"


def _state(trace: Trace) -> str:
    if trace.events:
        return _STATES.get(trace.events[-1].type, trace.events[-1].type)
    if trace.missing:
        return "missing"
    return trace.reads[-1].state if trace.reads else ""
