"""What became of the faults of one cluster: into its history, and for people."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_fleetq.verdict.recorder import Recorder


class Timeline:
    def __init__(self, history: Recorder, began: float) -> None:
        self._history = history
        self._began = began
        self._wall = time.time() - (time.monotonic() - began)
        self._numbers: dict[object, int] = {}
        self._lines: list[str] = []
        self.entries: list[dict[str, Any]] = []

    def record(self, kind: str, payload: Mapping[str, object]) -> None:
        """Takes what an Injection tells of itself."""
        stage = kind.removeprefix("fault.")
        about = dict(payload)
        key, name = about.pop("id"), str(about.pop("fault"))
        self._note(stage, key, name, about)
        moment = round(time.monotonic() - self._began, 3)
        self.entries.append({"t": moment, "stage": stage, "id": key, "fault": name, **about})
        self._lines.append(f"{moment:8.3f} s  {name} {stage}{_told(stage, about)}")

    def describe(self) -> str:
        """What happened when; empty if nothing did. Logs tell the time of day, so that is said."""
        if not self._lines:
            return ""
        begun = datetime.fromtimestamp(self._wall, UTC).isoformat(timespec="milliseconds")
        return "\n".join([f"   0.000 s  is {begun}", *self._lines])

    def _note(self, stage: str, key: object, name: str, about: Mapping[str, object]) -> None:
        match stage:
            case "start":
                targets = about.get("targets")
                target = ", ".join(targets) if isinstance(targets, list | tuple) else str(targets)
                settings = about.get("settings")
                given = settings if isinstance(settings, Mapping) else {}
                self._numbers[key] = self._history.fault_start(name, target, **given)
            case "effect":
                self._history.fault_effect(self._numbers[key], **about)
            case "end":
                self._history.fault_end(self._numbers[key])
            case _:
                self._history.note(f"{name}: {stage}", **about)


def _told(stage: str, about: Mapping[str, object]) -> str:
    if stage == "start":
        targets = about.get("targets")
        where = ", ".join(targets) if isinstance(targets, list | tuple) else str(targets)
        settings = about.get("settings") or {}
        return f" on {where}" + (f" {json.dumps(settings, default=str)}" if settings else "")
    if stage == "effect":
        return f": {about.get('evidence')}"
    return f": {about.get('error')}" if "error" in about else ""
