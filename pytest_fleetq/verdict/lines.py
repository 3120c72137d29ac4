"""Lines of a history file, one by one."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from pytest_fleetq.verdict.records import NOTHING, Happened, Operation, Outcome

Record: TypeAlias = dict[str, Any]

_decode = json.JSONDecoder().raw_decode


def decode(text: str) -> Record | None:
    """The record of one line; None if it is damaged."""
    try:
        record, end = _decode(text)
        if end + 1 != len(text) and text[end:].strip():
            return None  # two writers met in one line
    except ValueError:
        return _decode_loosely(text)
    return record if isinstance(record, dict) and "type" in record else None


def _decode_loosely(text: str) -> Record | None:
    """With white space in front, which the fast way does not take."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "type" in record else None


def records_in(lines: Iterable[str]) -> Iterator[tuple[int, Record]]:
    """Readable records with their line numbers, from 1."""
    for number, text in enumerate(lines, 1):
        record = decode(text)
        if record is not None:
            yield number, record


def happened(line: int, record: Record) -> Happened:
    return Happened(
        record["seq"], record["at"], record["event"], record.get("queue"), record.get("holder"),
        record.get("term"), record.get("detail") or NOTHING, line, record["t"],
    )  # fmt: skip


def operation(
    called: int, call: Record, returned: int | None = None, completion: Record | None = None
) -> Operation:
    """An invocation and its completion; without a completion the outcome is unknown."""
    end = completion or {}
    outcome = Outcome(end.get("type", "info"))
    return Operation(
        process=str(call.get("process", "")),
        name=call["name"],
        value=call.get("value") or NOTHING,
        answer=(end.get("value") or NOTHING) if outcome is Outcome.OK else NOTHING,
        outcome=outcome,
        called=called,
        returned=None if outcome is Outcome.INFO else returned,
        started=call["t"],
        ended=end.get("t"),
        error=str(end.get("error", "")),
    )
