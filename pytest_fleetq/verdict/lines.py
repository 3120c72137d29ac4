"""Lines of a history file, one by one."""

import json
from collections.abc import Iterable, Iterator
from sys import intern
from typing import Any, TypeAlias

from pytest_fleetq.verdict.records import NOTHING, Happened, Operation, Outcome

Record: TypeAlias = dict[str, Any]


def decode(text: str) -> Record | None:
    """The record of one line; None if it is damaged."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def records_in(lines: Iterable[str]) -> Iterator[tuple[int, Record]]:
    """Readable records with their line numbers, from 1."""
    for number, text in enumerate(lines, 1):
        record = decode(text)
        if record is not None and "type" in record:
            yield number, record


def happened(line: int, record: Record) -> Happened:
    get = record.get
    queue, holder = get("queue"), get("holder")
    return Happened(
        record["seq"],
        record["at"],
        intern(record["event"]),
        queue and intern(queue),
        holder and intern(holder),
        get("term"),
        get("detail") or NOTHING,
        line,
        record["t"],
    )


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
