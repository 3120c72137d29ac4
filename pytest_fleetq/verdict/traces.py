"""What a history tells of each step, first as notes made in passing, and then as Traces.

A note is a tuple that begins with a word: an event's type, or that of an operation. A step has
about seven, and a history a million steps' worth: most of them went straight, and are recognised
by their notes alone. Traces are made of the others, and of whichever somebody asks for.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any

from pytest_fleetq.verdict.records import Claimed, Happened, Seen, StepId, Trace, Write

ACKNOWLEDGED = "acknowledged"  # how it was asked for, line
CLAIM = "claim"  # the fields of Claimed
READ = "read"  # the fields of Seen
MISSING = "missing"  # called, line
COMPLETE = "complete"  # this and other writes: the fields of Write, the first being the word
_WRITES = frozenset({COMPLETE, "fail", "release"})

Notes = list[tuple[Any, ...]]

_WORD = itemgetter(0)
_STRAIGHT = frozenset({ACKNOWLEDGED, "submitted", "claimed", "completed"})
_BESIDE = _STRAIGHT | {CLAIM, COMPLETE, READ}


class Traces(Mapping[StepId, Trace]):
    """Each made when it is asked for."""

    def __init__(self, notes: Mapping[StepId, Notes], *, in_order: bool) -> None:
        self._notes = notes
        self._in_order = in_order
        self._made: dict[StepId, Trace] = {}

    def __getitem__(self, step: StepId) -> Trace:
        made = self._made.get(step)
        if made is None:
            made = self._made[step] = self._make(step)
        return made

    def __iter__(self) -> Iterator[StepId]:
        return iter(self._notes)

    def __len__(self) -> int:
        return len(self._notes)

    def unusual(self) -> list[Trace]:
        return [self[step] for step, notes in self._notes.items() if not _went_straight(notes)]

    def ran(self) -> dict[tuple[str | None, str | None], set[str]]:
        """By queue and kind, the holders that claimed such steps."""
        found: defaultdict[tuple[str | None, str | None], set[str]] = defaultdict(set)
        for notes in self._notes.values():
            kind = next((note[1].kind for note in notes if note[0] == ACKNOWLEDGED), None)
            for note in notes:
                if note[0] == "claimed":
                    found[note[1].queue, kind].add(note[1].holder or "")
        return found

    def _make(self, step: StepId) -> Trace:
        trace = Trace(step)
        notes = self._notes[step]
        for note in notes:
            _add(trace, note)
        if not self._in_order:
            trace.events = by_seq(trace.events)
        trace.ordinary = _went_straight(notes)
        return trace


def by_seq(events: list[Happened]) -> list[Happened]:
    """Of several watchers of one journal: events came late, or twice."""
    return list({event.seq: event for event in sorted(events, key=lambda one: one.seq)}.values())


def _add(trace: Trace, note: tuple[Any, ...]) -> None:
    word = note[0]
    if isinstance(note[1], Happened):
        trace.events.append(note[1])
    elif word == READ:
        trace.reads.append(Seen(*note[1:]))
    elif word == CLAIM:
        trace.claims.append(Claimed(*note[1:]))
    elif word in _WRITES:
        trace.writes.append(Write(*note))
    elif word == MISSING:
        trace.missing = note[1], note[2]
    elif not trace.acknowledged:
        trace.asked, trace.acknowledged = note[1], note[2]


def _went_straight(notes: Notes) -> bool:
    """Submitted, claimed, completed, each once and by one holder, and read as it was written."""
    if len(notes) > len(_BESIDE):
        return False
    words = tuple(map(_WORD, notes))
    where = _PATTERNS.get(words)
    if where is None:
        where = _PATTERNS[words] = _pattern(words)
    if not where:
        return False
    submitted, claimed, completed, read, write = where
    claim, end = notes[claimed][1], notes[completed][1]
    if not notes[submitted][1].seq < claim.seq < end.seq or end.holder not in (None, claim.holder):
        return False
    if read < 0:
        return True
    seen = notes[read]
    return seen[1] == "COMPLETED" and (write < 0 or bool(seen[2] == notes[write][3]))


# Words of notes → where among them are those that matter; empty if no step goes straight so.
_PATTERNS: dict[tuple[str, ...], tuple[int, ...]] = {}


def _pattern(words: tuple[str, ...]) -> tuple[int, ...]:
    once = set(words)
    if len(once) < len(words) or not _STRAIGHT <= once <= _BESIDE:
        return ()
    wanted = ("submitted", "claimed", "completed", READ, COMPLETE)
    return tuple(words.index(word) if word in once else -1 for word in wanted)
