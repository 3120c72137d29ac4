"""The history of one test: an append-only JSON Lines file, and its reader.

One object a line, UTF-8, in the order in which things were recorded. A program in any language may
append to it: one `write` per line, to a file opened for appending. A torn last line is ignored.

Times `t` are seconds since the history began: CLOCK_MONOTONIC minus the header's `monotonic`, so
that all processes of a host agree. They are for people and for delays. What came *before* what is
told by the order of lines alone: an invocation is appended before the call is made, a completion
after it returned.

    {"type": "header", "version": 1, "monotonic": 5123.4, "wall": 1790000000.1, "run": {…}}
    {"type": "invoke", "id": 7, "t": 0.1, "process": "client-1", "name": "submit", "value": {…}}
    {"type": "ok",     "id": 7, "t": 0.2, "name": "submit", "value": {…}}
    {"type": "fail",   "id": 7, "t": 0.2, "error": "…"}      it certainly had no effect
    {"type": "info",   "id": 7, "t": 0.2, "error": "…"}      unknown: it stays open for ever
    {"type": "event",  "t": 0.3, "seq": 12, "at": 1790000000.4, "event": "claimed", "queue": "q",
                       "holder": "…", "term": null, "step_ids": [1, 2], "detail": {}}
    {"type": "fault",  "id": 1, "t": 0.4, "stage": "start", "name": "kill", "target": "pod-1",
                       "detail": {}}  stages: start, effect (any number; its proof in `detail`), end
    {"type": "phase",  "t": 0.5, "name": "steady"}
    {"type": "note",   "t": 0.6, "text": "…", "value": {}}
    {"type": "unrecorded", "t": 0.7, "who": "…"}             others may submit too, unseen

`id` is a number or string, unique among operations (among faults, for faults). The value of an `ok`
repeats what was asked beside what was answered, so that readers need the invocation only of
operations without an outcome. Fields and types not named here are ignored.

What operations mean to the checkers is told by their names, which are those of the client; every
field may be left out, and other names are free for other uses.

    submit                 count, kind, queue, run_at, retry {max_attempts, initial_delay,
                           multiplier, max_delay, jitter, non_retryable};
                           steps [{the same, for one step each}]
                           → step_ids, in the order of `steps`
    claim                  holder → claims [{step_id, fence, attempt}]
    complete fail release  holder, items [{step_id, fence, verdict: "ok" if it was accepted; result
                           (complete); cause, error, retryable, retry_delay (fail)}]
    get wait list          → steps [{step_id, state, result, cause, error}], missing [step_id]
    dead audit             → steps [the same], all: true if nothing was left out; `audit` is the
                           harness's own look into the DLQ
    leader                 → term, holder
    journal                reads the fleet's events up to now → after, through: every event
                           after < seq ≤ through is in this file

What an event's `detail` tells, as far as it is judged:

    retrying               delay in seconds, delay_by "policy" or "holder"; cause, error, retryable
    dead                   cause, error, retryable: "false" if its holder said so
    redriven               delay
    pod_joined             name, type "pod" or "worker"

The phase `teardown` ends what is judged of progress; the last one counts.

A `result` is any JSON value; equal if and only if the results are. Step ids are numbers or strings.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_fleetq.verdict.lines import Record, happened, operation, records_in
from pytest_fleetq.verdict.records import (
    DeadListing,
    Fault,
    Happened,
    JournalRead,
    Note,
    Operation,
    Outcome,
    Phase,
    StepId,
    Trace,
    Value,
)

if TYPE_CHECKING:
    from pytest_fleetq.verdict.folding import Fold

__all__ = ["History", "Operation", "Outcome", "StepId"]


class History:
    """A history that was read: indexed by step, with the rest of it read again on demand.

    Operations and events are not kept as objects: a million of them would need gigabytes.
    """

    def __init__(self, path: Path, fold: "Fold") -> None:
        self._traces = fold.traces()
        self.path = path
        self.header: Value = fold.header
        self.steps: Mapping[StepId, Trace] = self._traces
        self.fleet: list[Happened] = fold.fleet  # events about no step
        self.faults: list[Fault] = fold.faults
        self.phases: list[Phase] = fold.phases
        self.notes: list[Note] = fold.notes
        self.unfinished: list[Operation] = fold.unfinished  # unknown outcome
        self.dead_listings: list[DeadListing] = fold.dead_listings
        self.leaders: list[tuple[int, str, int]] = fold.leaders  # reads: (term, holder, line)
        self.active: Mapping[str, float] = fold.active  # holder → when its last event was seen
        self.outcomes: dict[tuple[str, Outcome], int] = fold.outcomes  # how many
        self.unrecorded: list[str] = fold.unrecorded  # who may have made calls that are not here
        self.journal_events = fold.journal_events  # how many
        self.journal_line = fold.journal_line  # what came before is in the journal; 0: unknown
        self.journal_reads = fold.journal_reads
        self.lines = fold.line
        self.end = fold.end  # the last `t`
        self.damaged: list[int] = fold.damaged  # lines nobody could read
        self.torn = fold.torn  # whether the last line is incomplete

    @classmethod
    def load(cls, path: str | Path) -> "History":
        """Reads a history, complete or not.

        Raises OSError if there is no such file.
        """
        # Loaded on use: the parser takes a tenth of a second, and who only records needs none.
        fold: Fold = import_module("pytest_fleetq.verdict.folding").Fold()
        with Path(path).open(encoding="utf-8", errors="replace", newline="\n") as file:
            fold.read(file)
        return cls(Path(path), fold)

    @cached_property
    def unusual(self) -> list[Trace]:
        """Steps that were not just submitted, claimed, completed, each once and by one holder, and
        read as they were written. No rule of the default checkers is broken by any other."""
        return self._traces.unusual()

    @cached_property
    def ran(self) -> Mapping[tuple[str | None, str | None], set[str]]:
        """By queue and kind, the holders that claimed such steps."""
        return self._traces.ran()

    @property
    def journal_trouble(self) -> JournalRead | None:
        """The last attempt to read the journal, if it did not come to the end."""
        last = max(self.journal_reads, key=lambda read: read.called, default=None)
        return last if last is not None and last.ended is None else None

    @property
    def journal_read_at(self) -> float:
        """When the journal was last read to its end; 0 if it never was."""
        return max(
            (read.ended for read in self.journal_reads if read.ended is not None), default=0.0
        )

    def records(self) -> Iterator[tuple[int, Record]]:
        """Every readable line as it stands, with its number."""
        with self.path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            yield from records_in(lines)

    def operations(self, *names: str) -> Iterator[Operation]:
        """Operations (of these names), in order of completion; those without an outcome last."""
        open_now: dict[object, tuple[int, Record]] = {}
        for line, record in self.records():
            kind = record["type"]
            if kind == "invoke":
                if not names or record["name"] in names:
                    open_now[record["id"]] = (line, record)
            elif kind in ("ok", "fail", "info") and record["id"] in open_now:
                yield operation(*open_now.pop(record["id"]), line, record)
        for line, record in open_now.values():
            yield operation(line, record)

    def events(self, *types: str) -> Iterator[tuple[Happened, tuple[StepId, ...]]]:
        """Events of the journal (of these types) with their steps, as they came in."""
        for line, record in self.records():
            if record["type"] == "event" and (not types or record["event"] in types):
                yield happened(line, record), tuple(record.get("step_ids") or ())

    @property
    def last_heal(self) -> float:
        """When the last fault ended; 0 without faults, infinite if one never ended."""
        return max((float("inf") if f.end is None else f.end for f in self.faults), default=0.0)
