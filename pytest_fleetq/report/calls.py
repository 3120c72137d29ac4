"""What clients asked for, as columns of numbers."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_fleetq.report.lanes import Lanes
from pytest_fleetq.report.lives import MICROSECONDS, Clock
from pytest_fleetq.report.words import Words
from pytest_fleetq.verdict.history import History, Operation, Outcome
from pytest_fleetq.verdict.lines import Record, decode, operation

MOST_CALLS = 200_000
LONGEST = 160  # characters of what was asked

_OUTCOMES = {Outcome.OK: 0, Outcome.FAIL: 1, Outcome.INFO: 2}
_OF_THE_HARNESS = "harness"
_NEEDED = frozenset({"id", "name", "t"})
_EVENT = '{"type":"event"'  # how the recorder begins one


@dataclass(slots=True)
class Columns:
    """Calls in the order of their completion; times and lines as differences to the one before."""

    lane: list[int] = field(default_factory=list)  # word
    name: list[int] = field(default_factory=list)  # word
    asked: list[int] = field(default_factory=list)  # word
    start: list[int] = field(default_factory=list)  # µs
    took: list[int] = field(default_factory=list)  # µs; -1: no answer came
    outcome: list[int] = field(default_factory=list)  # 0 ok, 1 fail, 2 unknown
    error: list[int] = field(default_factory=list)  # word
    called: list[int] = field(default_factory=list)  # line
    returned: list[int] = field(default_factory=list)  # line, as difference to `called`
    left_out: int = 0


def read_calls(
    history: History,
    lanes: Lanes,
    clock: Clock,
    words: Words,
    cited: Container[int] = (),
    most: int = MOST_CALLS,
) -> Columns:
    """All calls, or evenly so many of them beside those that failed and those in `cited` lines."""
    columns = Columns()
    every = 1 + sum(history.outcomes.values()) // max(most, 1)
    told = _Told(columns, lanes, words)
    for number, call in enumerate(_operations(history.path)):
        if call.returned is not None and call.ended is not None:
            clock.note(call.returned, round(call.ended * MICROSECONDS))
        if call.process == _OF_THE_HARNESS:
            continue
        odd = call.outcome is not Outcome.OK or call.called in cited or call.returned in cited
        if odd or number % every == 0:
            told.add(call)
        else:
            columns.left_out += 1
    return columns


def _operations(path: Path) -> Iterator[Operation]:
    """As `History.operations`, but for events: they are most lines, and tell of no call."""
    open_now: dict[object, tuple[int, Record]] = {}
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line, text in enumerate(file, 1):
            record = None if text.startswith(_EVENT) else decode(text)
            kind = record.get("type") if record else None
            if record and kind == "invoke" and record.keys() >= _NEEDED:
                open_now[record["id"]] = (line, record)
            elif record and kind in ("ok", "fail", "info") and record.get("id") in open_now:
                yield operation(*open_now.pop(record["id"]), line, record)
    for line, call in open_now.values():
        yield operation(line, call)


class _Told:
    def __init__(self, columns: Columns, lanes: Lanes, words: Words) -> None:
        self._columns = columns
        self._lanes = lanes
        self._number = words.number
        self._start = self._called = 0

    def add(self, call: Operation) -> None:
        columns, number = self._columns, self._number
        start = round(call.started * MICROSECONDS)
        took = -1 if call.ended is None else round(call.ended * MICROSECONDS) - start
        columns.lane.append(number(self._lanes.of_process(call.process)))
        columns.name.append(number(call.name))
        columns.asked.append(number(spelled(call.value)))
        columns.start.append(start - self._start)
        columns.took.append(took)
        columns.outcome.append(_OUTCOMES[call.outcome])
        columns.error.append(number(call.error))
        columns.called.append(call.called - self._called)
        columns.returned.append(0 if call.returned is None else call.returned - call.called)
        self._start, self._called = start, call.called


def spelled(value: Mapping[str, object]) -> str:
    """In words: long lists by their length."""
    told = ", ".join(f"{name} {_brief(one)}" for name, one in value.items() if one is not None)
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"


def _brief(value: object) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"({len(value)} of them)"
    if isinstance(value, Mapping):
        return f"({spelled(value)})"
    if isinstance(value, list):
        return "[" + ", ".join(_brief(one) for one in value) + "]"
    return str(value)
