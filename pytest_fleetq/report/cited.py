"""The lines of a history that findings name, and what they say."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_fleetq.report.calls import spelled
from pytest_fleetq.report.lanes import SHORT
from pytest_fleetq.verdict.lines import decode, records_in
from pytest_fleetq.verdict.model import Finding

LONGEST = 2000  # characters of a line as it stands

_INVOKE = '{"type":"invoke",'
_COMPLETIONS = ("ok", "fail", "info")


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    told: str  # in words
    text: str  # as it stands


def lines_of(findings: Iterable[Finding]) -> set[int]:
    return {line for finding in findings for line in finding.lines}


def read_lines(history: Path, wanted: set[int]) -> Mapping[int, Line]:
    """Those of the history that are wanted and there."""
    if not wanted:
        return {}
    texts = _texts(history, wanted)
    records = {number: decode(text) or {} for number, text in texts.items()}
    names = _Names(history, [one for one in records.values() if one.get("type") in _COMPLETIONS])
    return {
        number: Line(number, names.tell(record), texts[number].rstrip("\n")[:LONGEST])
        for number, record in records.items()
    }


def told_of(finding: Finding, lines: Mapping[int, Line]) -> Sequence[str]:
    """What the lines say that a finding names, one by one."""
    found = [lines[number] for number in finding.lines if number in lines]
    return [f"line {line.number}: {line.told}" for line in found]


def _texts(history: Path, wanted: set[int]) -> dict[int, str]:
    last = max(wanted)
    found = {}
    with history.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, text in enumerate(file, 1):
            if number in wanted:
                found[number] = text
            if number >= last:
                break
    return found


class _Names:
    """Who is behind the ids of holders, and of the calls that were completed."""

    def __init__(self, history: Path, completions: Iterable[Mapping[str, Any]]) -> None:
        self._wall = 0.0
        self._holders: dict[str, str] = {}
        self._calls: dict[object, Mapping[str, Any]] = {}
        answered = {record.get("id") for record in completions}
        starts = tuple(f'{_INVOKE}"id":{json.dumps(one)},' for one in answered)
        with history.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for _, record in records_in(file.readline() for _ in range(1)):
                self._note(record)
            for _, record in records_in(text for text in file if _tells(text, starts)):
                self._note(record)

    def _note(self, record: Mapping[str, Any]) -> None:
        if record["type"] == "header":
            self._wall = float(record.get("wall", 0.0))
        elif record["type"] == "invoke":
            self._calls[record.get("id")] = record
        elif name := (record.get("detail") or {}).get("name"):
            self._holders[record.get("holder", "")] = str(name)

    def tell(self, record: Mapping[str, Any]) -> str:
        match record.get("type"):
            case "event":
                return self._event(record)
            case "invoke":
                return f"{_when(record.get('t', 0.0))} {_caller(record)} asked {_asked(record)}"
            case "ok" | "fail" | "info":
                return self._completion(record)
            case "fault":
                where = f" on {record['target']}" if record.get("target") else ""
                name = record.get("name", record.get("id"))
                return f"{_when(record.get('t', 0.0))} fault {name}{where}: {record.get('stage')}"
            case _:
                return spelled(record)

    def _completion(self, record: Mapping[str, Any]) -> str:
        call = self._calls.get(record.get("id"), {})
        name = record.get("name") or call.get("name", "a call")
        who = f"{_when(record.get('t', 0.0))} {_caller(call)}"
        if record["type"] == "ok":
            return f"{who} was answered {name}: {spelled(record.get('value') or {})}"
        outcome = "failed" if record["type"] == "fail" else "has an unknown outcome"
        return f"{who}: {name} {outcome}: {record.get('error', '')}"

    def _event(self, record: Mapping[str, Any]) -> str:
        when = _when(float(record.get("at", 0.0)) - self._wall) if self._wall else ""
        steps = record.get("step_ids") or []
        which = f" {spelled({'steps': steps})}" if steps else ""
        more = record.get("detail")
        detail = f" ({spelled(more)})" if more else ""
        return f"{when} {record.get('event')}{self._by(record)}{which}{detail}"

    def _by(self, record: Mapping[str, Any]) -> str:
        holder = str(record.get("holder") or "")
        if not holder:
            return ""
        short, name = holder[:SHORT], self._holders.get(holder)
        return f" by {name} ({short})" if name else f" by {short}"


def _tells(text: str, starts: tuple[str, ...]) -> bool:
    """Whether it may say who somebody is. What others than the recorder write may be spaced."""
    if text.startswith(_INVOKE):
        return text.startswith(starts)
    return '"pod_joined"' in text or '"invoke"' in text[:30]


def _when(seconds: float) -> str:
    return f"{seconds:.3f} s"


def _caller(call: Mapping[str, Any]) -> str:
    return str(call.get("process", "a client")).partition("/")[0]


def _asked(call: Mapping[str, Any]) -> str:
    asked = spelled(call.get("value") or {})
    return f"{call.get('name')}: {asked}" if asked else str(call.get("name"))
