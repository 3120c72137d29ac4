"""One pass over a history file, which leaves what the checkers need, by step.

This is the part that sees every line: a million operations are two million lines, and twice as
many objects if one is careless. So many lines are parsed at once, an invocation that was answered
is not parsed at all (its completion repeats what was asked), and of steps only notes are kept.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from sys import intern
from typing import Any, TextIO

from pydantic_core import from_json

from pytest_fleetq.verdict.lines import Record, decode, happened, operation
from pytest_fleetq.verdict.records import (
    AUDIT,
    JOURNAL,
    NOTHING,
    DeadListing,
    Fault,
    Happened,
    JournalRead,
    Note,
    Operation,
    Outcome,
    Phase,
    StepId,
    Submission,
    Value,
)
from pytest_fleetq.verdict.resting import collector_at_rest
from pytest_fleetq.verdict.spans import Activity, Span
from pytest_fleetq.verdict.traces import ACKNOWLEDGED, CLAIM, MISSING, READ, Notes, Traces, by_seq

# How the recorder begins an invocation. Others may write it otherwise; they are read more slowly.
_INVOKE = '{"type":"invoke","id":'
_ID = len(_INVOKE)
_NOT_CALLED = (0, "")
_AT_ONCE = 16 * 1024  # bytes; a few times more or less are slower


class Fold:
    def __init__(self) -> None:
        self.header: Value = NOTHING
        self._steps: defaultdict[StepId, Notes] = defaultdict(list)
        self.fleet: list[Happened] = []
        self.faults: list[Fault] = []
        self.active: dict[str, float] = {}
        self.phases: list[Phase] = []
        self.notes: list[Note] = []
        self.unfinished: list[Operation] = []
        self.dead_listings: list[DeadListing] = []
        self.leaders: list[tuple[int, str, int]] = []
        self.outcomes: Counter[tuple[str, Outcome]] = Counter()
        self.journal_events = 0
        self.journal_line = 0
        self.journal_reads: list[JournalRead] = []
        self.unrecorded: list[str] = []
        self.line = 0
        self.end = 0.0
        self.damaged: list[int] = []
        self.torn = False
        self._in_order = True
        self._open: dict[object, tuple[int, str]] = {}  # id → (line, its text)
        self._answered: defaultdict[str, int] = defaultdict(int)
        self._plain: dict[object, Submission] = {}
        self._last_seq = -1
        self._journal_through = 0
        self._step_events = 0
        self._spans: dict[object, Span] = {}
        self._records: dict[str, Callable[[int, Record], None]] = {
            "event": self._event,
            "fail": self._fail,
            "info": self._info,
            "fault": self._fault,
            "header": self._header,
            "phase": self._phase,
            "note": self._note,
            "unrecorded": self._unrecorded,
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
            AUDIT: self._dead,
            "leader": self._leader,
        }

    def read(self, file: TextIO) -> None:
        with collector_at_rest():
            while texts := file.readlines(_AT_ONCE):
                # Without an end: its writer was killed, or is not done.
                last = "" if texts[-1].endswith("\n") else texts.pop()
                self._take(texts, _parse(texts))
                if last:
                    self._take_last(last)
            self._finish()

    def traces(self) -> Traces:
        return Traces(self._steps, in_order=self._in_order)

    # --- lines ---

    def _take(self, texts: Sequence[str], records: Sequence[Any]) -> None:
        # All that happens once an operation is here, in the loop: a call costs as much as a line.
        open_now, answered, fold_of = self._open, self._answered, self._operations.get
        line = self.line
        for text, record in zip(texts, records, strict=True):
            line += 1
            try:
                if record.__class__ is not dict:
                    open_now[record] = line, text  # an invocation's id
                elif record["type"] == "ok":
                    called = open_now.pop(record["id"], _NOT_CALLED)[0]
                    name = record["name"]
                    answered[name] += 1
                    fold = fold_of(name)
                    if fold is not None:
                        fold(record["value"], called, line)
                    elif name == JOURNAL:
                        self._journal(record, called)
                else:
                    self._records[record["type"]](line, record)
            except (LookupError, TypeError, ValueError, AttributeError):
                self._leave(line, text, record)
        self.line += len(texts)
        self.end = _last_time(records, self.end)

    def _take_last(self, text: str) -> None:
        record = decode(text)
        if record is None:
            self.line += 1
            self.torn = True
        else:
            self._take([text], [record])

    def _leave(self, line: int, text: str, record: Any) -> None:
        """What is no record of a known type: damaged, or of no interest."""
        kind = record.get("type") if isinstance(record, dict) else None
        if kind == "invoke" and "id" in record:
            self._open[record["id"]] = (line, text)
        elif not isinstance(kind, str) or kind == "ok" or kind in self._records:
            self._damage(line, text)

    def _damage(self, line: int, text: str) -> None:
        if text.strip():
            self.damaged.append(line)

    def _finish(self) -> None:
        last = self._activity()
        self.faults = [span.told(last) for span in self._spans.values()]
        for line, text in self._open.values():
            call = decode(text)
            if call is None or "name" not in call or "t" not in call:
                self._damage(line, text)
            else:
                self._leave_open(operation(line, call))
        self.outcomes.update({(name, Outcome.OK): n for name, n in self._answered.items() if n})
        self.outcomes.update((one.name, one.outcome) for one in self.unfinished)
        if not self._in_order:
            self.fleet = by_seq(self.fleet)

    # --- records ---

    def _fail(self, line: int, record: Record) -> None:
        self.outcomes[self._completed(line, record).name, Outcome.FAIL] += 1

    def _info(self, line: int, record: Record) -> None:
        self._leave_open(self._completed(line, record))

    def _completed(self, line: int, record: Record) -> Operation:
        called, text = self._open.pop(record["id"])
        return operation(called, decode(text) or {}, line, record)

    def _leave_open(self, one: Operation) -> None:
        self.unfinished.append(one)
        self.end = max(self.end, one.started, one.ended or 0.0)
        if one.name == JOURNAL:
            self.journal_reads.append(JournalRead(one.called, None, one.error))

    def _event(self, line: int, record: Record) -> None:
        event = happened(line, record)
        self.journal_events += 1
        if event.holder:
            self.active[event.holder] = event.seen
        if event.seq > self._last_seq:
            self._last_seq = event.seq
        else:
            self._in_order = False
        steps = record.get("step_ids")
        if not steps:
            self.fleet.append(event)
            return
        self._step_events += 1
        note, notes = (event.type, event), self._steps
        for step in steps:
            notes[step].append(note)

    def _fault(self, line: int, record: Record) -> None:
        stage, number = record["stage"], record["id"]
        if stage == "start":
            self._spans[number] = Span(line, record, self._activity())
        elif stage == "effect":
            # Some faults can tell only after they are healed.
            self._spans[number].effects.append(record.get("detail") or NOTHING)
        else:
            self._spans[number].heal(line, record["t"], self._activity())

    def _header(self, _line: int, record: Record) -> None:
        self.header = self.header or record

    def _phase(self, line: int, record: Record) -> None:
        self.phases.append(Phase(record["name"], record["t"], line))

    def _note(self, line: int, record: Record) -> None:
        self.notes.append(Note(record["text"], record.get("value") or NOTHING, line))

    def _unrecorded(self, _line: int, record: Record) -> None:
        self.unrecorded.append(str(record.get("who", "")))

    def _activity(self) -> Activity:
        over = sum(self._answered.values()) + len(self.unfinished) + sum(self.outcomes.values())
        over -= self._answered[JOURNAL] + self._answered[AUDIT]
        return Activity(over, len(self._open), self.journal_events, self._step_events)

    # --- operations that were answered ---

    def _submit(self, value: Value, _called: int, line: int) -> None:
        each = value.get("steps")
        if each is None:
            note = (ACKNOWLEDGED, self._submission(value), line)
            for step in value["step_ids"]:
                self._steps[step].append(note)
            return
        for step, about in zip(value["step_ids"], each, strict=True):
            asked = self._submission({**value, **about})
            self._steps[step].append((ACKNOWLEDGED, asked, line))

    def _submission(self, value: Value) -> Submission:
        kind, queue = value.get("kind"), value.get("queue")
        if "run_at" in value or "retry" in value:
            return Submission(kind, queue, value.get("run_at"), value.get("retry"))
        plain = self._plain.get((kind, queue))
        if plain is None:
            plain = self._plain[kind, queue] = Submission(kind, queue, None, None)
        return plain

    def _claim(self, value: Value, called: int, line: int) -> None:
        holder, steps = intern(value.get("holder", "")), self._steps
        for claim in value["claims"]:
            steps[claim["step_id"]].append((CLAIM, holder, claim.get("fence"), called, line))

    def _write(self, name: str) -> Callable[[Value, int, int], None]:
        def fold(value: Value, called: int, line: int) -> None:
            holder, steps = intern(value.get("holder", "")), self._steps
            for item in value["items"]:
                if item.get("verdict", "ok") == "ok":
                    fence, result = item.get("fence"), item.get("result")
                    note = (name, holder, fence, result, called, line)
                    steps[item["step_id"]].append(note)

        return fold

    def _read(self, value: Value, called: int, line: int) -> None:
        steps = self._steps
        for step in value.get("steps", ()):
            state = intern(step["state"])
            steps[step["step_id"]].append((READ, state, step.get("result"), called, line))
        for missing in value.get("missing", ()):
            steps[missing].append((MISSING, called, line))

    def _dead(self, value: Value, called: int, line: int) -> None:
        steps = {step["step_id"]: step for step in value["steps"]}
        self.dead_listings.append(DeadListing(steps, bool(value.get("all")), called, line))

    def _leader(self, value: Value, _called: int, line: int) -> None:
        if value.get("holder"):
            self.leaders.append((value["term"], value["holder"], line))

    def _journal(self, record: Record, called: int) -> None:
        # Read in parts, each going on where the last one stopped.
        value = record["value"]
        if value["after"] <= self._journal_through:
            self._journal_through = max(self._journal_through, value["through"])
            self.journal_line = max(self.journal_line, called)
            self.journal_reads.append(JournalRead(called, record["t"], ""))


def _last_time(records: Sequence[Any], before: float) -> float:
    times = (record.get("t") for record in reversed(records) if isinstance(record, dict))
    return next((t for t in times if isinstance(t, int | float)), before)


def _parse(texts: Sequence[str]) -> Sequence[Any]:
    """A record of each line; only the id of an invocation; text for what cannot be read."""
    parts = [
        text[_ID : text.find(",", _ID)] if text.startswith(_INVOKE) else text for text in texts
    ]
    try:
        # The lines' ends stay: within a string that was torn they are an error.
        records = from_json(f"[{','.join(parts)}]", cache_strings="all")
    except ValueError:
        records = []
    if len(records) == len(texts):
        return list(records)
    return [decode(text) or {} for text in texts]
