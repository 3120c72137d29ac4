"""What one cluster of one test leaves: a folder that needs nothing else to be understood.

history.jsonl      every call of a client, every fault, the fleet's own events
faults.json        the faults once more, for people
schedule.json      what a nemesis had planned, if there was one
pod-*/log          what each pod wrote
fleet.db, store/   the store, or a copy of it
verdict.json       how the test ended, what the checkers said
environment.json   versions, machine, seed, how to run it again
measurements.json  what a budget measured, if there was one
report.html        all of it on one page
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

from pytest_fleetq.report import environment, measurements, verdicts
from pytest_fleetq.report.environment import Environment
from pytest_fleetq.report.logs import Tail, read_tails
from pytest_fleetq.report.measurements import Measurements
from pytest_fleetq.report.verdicts import Ended
from pytest_fleetq.verdict.history import History

HISTORY = "history.jsonl"
FAULTS = "faults.json"
PAGE = "report.html"


T = TypeVar("T", Ended, Environment, Measurements)


class NoBundle(ValueError):
    """There is no bundle at that place, or a file of it is damaged; the message names it."""


@dataclass
class Bundle:
    directory: Path

    @classmethod
    def at(cls, directory: Path) -> Self:
        """Raises: NoBundle, telling what is there instead."""
        if (directory / HISTORY).is_file():
            return cls(directory)
        if not directory.is_dir():
            raise NoBundle(f"{directory} is no folder that --fleetq-keep left")
        inside = sorted(found.parent for found in directory.glob(f"**/{HISTORY}"))
        if len(inside) == 1:
            return cls(inside[0])
        if inside:
            names = ", ".join(str(found) for found in inside[:10])
            raise NoBundle(f"{directory} holds {len(inside)} clusters; give one of {names}")
        raise NoBundle(f"{directory} holds no {HISTORY}: give a folder that --fleetq-keep left")

    @cached_property
    def history(self) -> History:
        return History.load(self.directory / HISTORY)

    @cached_property
    def ended(self) -> Ended:
        """Raises: NoBundle."""
        text = self._text(verdicts.FILE)
        return Ended() if text is None else _read(Ended, text, self.directory / verdicts.FILE)

    @cached_property
    def environment(self) -> Environment:
        """Raises: NoBundle."""
        path = self.directory / environment.FILE
        text = self._text(environment.FILE)
        return self._from_header() if text is None else _read(Environment, text, path)

    @cached_property
    def measurements(self) -> Measurements | None:
        """Raises: NoBundle."""
        path = self.directory / measurements.FILE
        text = self._text(measurements.FILE)
        return None if text is None else _read(Measurements, text, path)

    @cached_property
    def logs(self) -> list[Tail]:
        return read_tails(self.directory)

    @cached_property
    def colours(self) -> dict[str, str]:
        """Of the bands of faults, by name."""
        entries = json.loads(self._text(FAULTS) or "[]")
        return {one["fault"]: one["colour"] for one in entries if "colour" in one}

    @property
    def files(self) -> list[tuple[str, int]]:
        """Name and size of each, but for the page itself."""
        found = (path for path in sorted(self.directory.rglob("*")) if path.is_file())
        told = ((str(path.relative_to(self.directory)), path.stat().st_size) for path in found)
        return [(name, size) for name, size in told if name != PAGE]

    def _text(self, name: str) -> str | None:
        try:
            return (self.directory / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None

    def _from_header(self) -> Environment:
        """Of a run that was killed before it could tell more."""
        run = self.history.header.get("run") or {}
        return Environment(test=str(run.get("test", "")), seed=run.get("seed"))


def _read(kind: type[T], text: str, path: Path) -> T:
    try:
        return kind.from_json(text)
    except ValueError as error:
        raise NoBundle(f"{path}: {error}") from None
