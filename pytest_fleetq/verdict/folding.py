"""One pass over a history file, which leaves what the checkers need, by step.

This is the part that sees every line: a million operations are two million lines, and twice as
many objects if one is careless. So an invocation that was answered is never parsed (its
completion repeats what was asked), and the collector rests, since nothing here is a cycle.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from sys import intern
from typing import Any

from pytest_fleetq.verdict.lines import UNREAD, Record, decode, decode_all, happened, operation
from pytest_fleetq.verdict.records import (
    NOTHING,
    Claimed,
    DeadListing,
    Fault,
    Happened,
    Note,
    Operation,
    Outcome,
    Phase,
    Seen,
    StepId,
    Submission,
    Trace,
    Value,
    Write,
)

# How the recorder begins an invocation. Others may write it otherwise; they are read more slowly.
_INVOKE = '{"type":"invoke","id":'
_ID = len(_INVOKE)
_AT_ONCE = 32  # lines; fewer and more of them are slower


@contextmanager
def collector_at_rest() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Steps(dict[StepId, Trace]):
    def __missing__(self, step: StepId) -> Trace:
        trace = self[step] = Trace(step)
        return trace


class Fold:
    def __init__(self) -> None:
        self.header: Value = NOTHING
        self.steps = _Steps()
        self.fleet: list[Happened] = []
        self.faults: list[Fault] = []
        self.phases: list[Phase] = []
        self.notes: list[Note] = []
        self.unfinished: list[Operation] = []
        self.dead_listings: list[DeadListing] = []
        self.leaders: list[tuple[int, str, int]] = []
        self.outcomes: Counter[tuple[str, Outcome]] = Counter()
        self.journal_events = 0
        self.journal_line = 0
        self.journal_read_at = 0.0
        self.line = 0
        self.end = 0.0
        self.damaged: list[int] = []
        self.torn = False
        self._open: dict[object, tuple[int, str]] = {}  # id → (line, its text)
        self._completions = 0
        self._answered: Counter[str] = Counter()
        self._faults: dict[object, _InjectedFault] = {}
        self._plain: dict[object, Submission] = {}
        self._last_seq = -1
        self._journal_through = 0
        self._in_order = True
        self._records: dict[str, Callable[[int, Record], None]] = {
            "ok": self._ok,
            "event": self._event,
            "fail": self._fail,
            "info": self._info,
            "fault": self._fault,
            "header": self._header,
            "phase": self._phase,
            "note": self._note,
        }
        self._operations: dict[str, Callable[[Value, int, int], None]] = {
            "submit": self._submit,
            "claim": self._claim,
            "complete": self._write("complete"),
            "fail": self._write("fail"),
            "release": self._write("release"),
            "get": self._read,
            "wait": self._read,
            "list": self._read,
            "dead": self._dead,
            "leader": self._leader,
            "journal": self._journal,
        }

    def read(self, lines: Iterable[str]) -> None:
        source = iter(lines)
        with collector_at_rest():
            while texts := list(islice(source, _AT_ONCE)):
                last = "" if texts[-1].endswith("\n") else texts.pop()
                self._take(texts)
                if last:
                    self._take_last(last)
            self._finish()

    # --- lines ---

    def _take(self, texts: list[str]) -> None:
        records = decode_all([UNREAD if text.startswith(_INVOKE) else text for text in texts])
        takers, open_now, line = self._records, self._open, self.line
        record: Any
        for text, record in zip(texts, records, strict=True):
            line += 1
            try:
                if record is True:
                    open_now[int(text[_ID : text.find(",", _ID)])] = (line, text)
                else:
                    takers[record["type"]](line, record)
            except (LookupError, TypeError, ValueError, AttributeError):
                self._leave(line, text, decode(text))
        self.line = line

    def _take_last(self, text: str) -> None:
        """A line without an end: its writer was killed, or is not done."""
        if decode(text) is None:
            self.line += 1
            self.torn = True
        else:
            self._take([f"{text}\n"])

    def _leave(self, line: int, text: str, record: Record | None) -> None:
        """What is no record of a known type: damaged, or of no interest."""
        kind = None if record is None else record.get("type")
        if record is not None and kind == "invoke" and "id" in record:
            self._open[record["id"]] = (line, text)
        elif not isinstance(kind, str) or kind in self._records:
            self._damage(line, text)

    def _damage(self, line: int, text: str) -> None:
        if text.strip():
            self.damaged.append(line)

    def _finish(self) -> None:
        for line, text in self._open.values():
            call = decode(text)
            if call is None or "name" not in call or "t" not in call:
                self._damage(line, text)
            else:
                self.unfinished.append(operation(line, call))
                self.end = max(self.end, call["t"])
        self.outcomes.update({(name, Outcome.OK): n for name, n in self._answered.items()})
        self.outcomes.update((one.name, one.outcome) for one in self.unfinished)
        self.faults.extend(fault.told(self) for fault in self._faults.values())
        if not self._in_order:
            self._put_in_order()
        for trace in self.steps.values():
            trace.ordinary = _ordinary(trace.events)

    def _put_in_order(self) -> None:
        """Several watchers of one journal: events came late, or twice."""
        self.fleet = _by_seq(self.fleet)
        for trace in self.steps.values():
            trace.events = _by_seq(trace.events)

    # --- records ---

    def _ok(self, line: int, record: Record) -> None:
        called, _ = self._open.pop(record["id"], (line, ""))
        self._completions += 1
        name = record["name"]
        self._answered[name] += 1
        self.end = record["t"]
        fold = self._operations.get(name)
        if fold is not None:
            fold(record["value"], called, line)

    def _fail(self, line: int, record: Record) -> None:
        self.outcomes[self._completed(line, record).name, Outcome.FAIL] += 1

    def _info(self, line: int, record: Record) -> None:
        self.unfinished.append(self._completed(line, record))

    def _completed(self, line: int, record: Record) -> Operation:
        called, text = self._open.pop(record["id"])
        self._completions += 1
        self.end = record["t"]
        return operation(called, decode(text) or {}, line, record)

    def _event(self, line: int, record: Record) -> None:
        event = happened(line, record)
        self.end = event.seen
        self.journal_events += 1
        if event.seq > self._last_seq:
            self._last_seq = event.seq
        else:
            self._in_order = False
        steps = record.get("step_ids")
        if not steps:
            self.fleet.append(event)
            return
        for step in steps:
            self.steps[step].events.append(event)

    def _fault(self, line: int, record: Record) -> None:
        self.end = record["t"]
        stage, number = record["stage"], record["id"]
        if stage == "start":
            self._faults[number] = _InjectedFault(self, line, record)
        elif stage == "effect":
            # Some faults can tell only after they are healed.
            self._faults[number].effects.append(record.get("detail") or NOTHING)
        else:
            self._faults[number].heal(self, line, record["t"])

    def _header(self, _line: int, record: Record) -> None:
        self.header = self.header or record

    def _phase(self, line: int, record: Record) -> None:
        self.end = record["t"]
        self.phases.append(Phase(record["name"], record["t"], line))

    def _note(self, line: int, record: Record) -> None:
        self.notes.append(Note(record["text"], record.get("value") or NOTHING, line))

    # --- operations that were answered ---

    def _submit(self, value: Value, _called: int, line: int) -> None:
        each = value.get("steps")
        asked = self._submission(value)
        for index, step in enumerate(value["step_ids"]):
            trace = self.steps[step]
            if not trace.acknowledged:
                trace.acknowledged = line
                trace.asked = asked if each is None else self._submission({**value, **each[index]})

    def _submission(self, value: Value) -> Submission:
        kind, queue, run_at, retry = map(value.get, ("kind", "queue", "run_at", "retry"))
        if run_at is not None or retry is not None:
            return Submission(kind, queue, run_at, retry)
        plain = self._plain.get((kind, queue))
        if plain is None:
            plain = self._plain[kind, queue] = Submission(kind, queue, None, None)
        return plain

    def _claim(self, value: Value, called: int, line: int) -> None:
        holder = intern(value.get("holder", ""))
        for claim in value["claims"]:
            made = Claimed(holder, claim.get("fence"), called, line)
            self.steps[claim["step_id"]].claims.append(made)

    def _write(self, name: str) -> Callable[[Value, int, int], None]:
        def fold(value: Value, called: int, line: int) -> None:
            holder = intern(value.get("holder", ""))
            for item in value["items"]:
                if item.get("verdict", "ok") != "ok":
                    continue
                about = item if name == "fail" else NOTHING
                fence, result = item.get("fence"), item.get("result")
                made = Write(name, holder, fence, result, called, line, about)
                self.steps[item["step_id"]].writes.append(made)

        return fold

    def _read(self, value: Value, called: int, line: int) -> None:
        for step in value.get("steps", ()):
            seen = Seen(intern(step["state"]), step.get("result"), called, line)
            self.steps[step["step_id"]].reads.append(seen)
        for missing in value.get("missing", ()):
            self.steps[missing].missing = (called, line)

    def _dead(self, value: Value, called: int, line: int) -> None:
        steps = {step["step_id"]: step for step in value["steps"]}
        self.dead_listings.append(DeadListing(steps, bool(value.get("all")), called, line))

    def _leader(self, value: Value, _called: int, line: int) -> None:
        if value.get("holder"):
            self.leaders.append((value["term"], value["holder"], line))

    def _journal(self, value: Value, called: int, _line: int) -> None:
        # Read in parts, each going on where the last one stopped.
        if value["after"] <= self._journal_through:
            self._journal_through = max(self._journal_through, value["through"])
            self.journal_line = max(self.journal_line, called)
            self.journal_read_at = self.end

    # --- for faults ---

    def completions(self) -> int:
        """Operations that are over."""
        return self._completions

    def invocations(self) -> int:
        return self._completions + len(self._open)


class _InjectedFault:
    """A fault, and how much was going on before it began and before it ended."""

    def __init__(self, fold: Fold, line: int, record: Record) -> None:
        self.effects: list[Value] = []
        self._record = record
        self._line = line
        self._end: tuple[int, float] | None = None
        self._over_before = fold.completions()
        self._events_before = fold.journal_events
        self._calls = self._events = 0

    def heal(self, fold: Fold, line: int, moment: float) -> None:
        if self._end is None:  # healing is idempotent
            self._count(fold)
            self._end = (line, moment)

    def told(self, fold: Fold) -> Fault:
        if self._end is None:
            self._count(fold)
        line, moment = self._end or (None, None)
        return Fault(
            name=self._record["name"],
            target=str(self._record.get("target", "")),
            detail=self._record.get("detail") or NOTHING,
            start=self._record["t"],
            end=moment,
            start_line=self._line,
            end_line=line,
            effects=tuple(self.effects),
            operations=self._calls,
            events=self._events,
        )

    def _count(self, fold: Fold) -> None:
        self._calls = fold.invocations() - self._over_before
        self._events = fold.journal_events - self._events_before


def _ordinary(events: list[Happened]) -> bool:
    if len(events) != 3:
        return False
    first, second, third = events
    return (
        first.type == "submitted"
        and second.type == "claimed"
        and third.type == "completed"
        and third.holder in (None, second.holder)
    )


def _seq(event: Happened) -> int:
    return event.seq


def _by_seq(events: list[Happened]) -> list[Happened]:
    return list({event.seq: event for event in sorted(events, key=_seq)}.values())
