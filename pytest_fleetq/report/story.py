"""All that the page shows, as one document for its script."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from pytest_fleetq.report.bundle import Bundle
from pytest_fleetq.report.calls import Columns as Calls
from pytest_fleetq.report.calls import read_calls
from pytest_fleetq.report.cited import lines_of, read_lines
from pytest_fleetq.report.lanes import Lanes
from pytest_fleetq.report.lives import Clock, Lives
from pytest_fleetq.report.lives import Columns as Steps
from pytest_fleetq.report.verdicts import as_dict
from pytest_fleetq.report.words import Words
from pytest_fleetq.verdict.records import Fault

USUAL_COLOUR = "#c44"


def tell(bundle: Bundle) -> dict[str, Any]:
    """Raises: NoBundle where a file of the bundle is damaged."""
    history, ended = bundle.history, bundle.ended
    cited = lines_of(ended.findings)
    return {
        "environment": asdict(bundle.environment),
        "wall": history.header.get("wall"),
        "end": history.end,
        "outcome": ended.outcome,
        "verdict": ended.verdict,
        "failure": ended.failure,
        "sections": ended.sections,
        "checkers": [as_dict(result) for result in ended.checkers],
        "lines": {
            number: {"told": line.told, "text": line.text}
            for number, line in read_lines(history.path, cited).items()
        },
        "faults": [_fault(fault, bundle.colours) for fault in history.faults],
        "phases": [phase._asdict() for phase in history.phases],
        "notes": [note._asdict() for note in history.notes],
        "logs": [asdict(tail) for tail in bundle.logs],
        "measurements": asdict(bundle.measurements) if bundle.measurements else None,
        "folder": bundle.directory.name,
        "files": bundle.files,
        **_timeline(bundle, cited),
    }


def _timeline(bundle: Bundle, cited: set[int]) -> Mapping[str, object]:
    history = bundle.history
    words, clock = Words(), Clock()
    lanes = Lanes(history, [pod.name for pod in bundle.environment.pods])
    calls = read_calls(history, lanes, clock, words, cited)
    blamed = {one.step for one in bundle.ended.findings if one.step is not None}
    steps = Lives(history, lanes, clock, words).columns(blamed)
    return {
        "calls": _shallow(calls),
        "steps": _shallow(steps),
        "lanes": [asdict(lane) for lane in lanes.in_order()],
        "words": words.all,
    }


def _fault(fault: Fault, colours: Mapping[str, str]) -> dict[str, object]:
    return {
        "name": fault.name,
        "target": fault.target,
        "targets": fault.target.split(", "),
        "settings": fault.detail,
        "start": fault.start,
        "end": fault.end,
        "lines": [line for line in (fault.start_line, fault.end_line) if line is not None],
        "effects": [str(effect.get("evidence") or dict(effect)) for effect in fault.effects],
        "colour": colours.get(fault.name, USUAL_COLOUR),
    }


def _shallow(columns: Calls | Steps) -> dict[str, object]:
    """As `asdict`, which would look at each of a million numbers."""
    return {each.name: getattr(columns, each.name) for each in fields(columns)}
