"""Reads fields of JSON documents, and names the one that is wrong."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_fleetq.perf.errors import BadResults

WORDS = {dict: "an object", list: "an array", str: "text", bool: "true or false"}


class Fields:
    """An object of a document. `where` names it in errors: `r.json: benchmarks[0].metrics`."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise BadResults(f"{where.removesuffix(':')}: expected an object, got {_shown(value)}")
        self._values: dict[str, Any] = value
        self.where = where

    def text(self, name: str) -> str:
        return str(self._typed(name, str))

    def optional_text(self, name: str) -> str | None:
        return None if self._values.get(name) is None else self.text(name)

    def flag(self, name: str, default: bool) -> bool:
        return bool(self._typed(name, bool)) if name in self._values else default

    def number(self, name: str) -> float:
        return number(self._required(name), self.at(name))

    def optional_number(self, name: str) -> float | None:
        return None if self._values.get(name) is None else self.number(name)

    def optional_whole(self, name: str) -> int | None:
        value = self._values.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise BadResults(f"{self.at(name)}: expected a whole number, got {_shown(value)}")
        return value

    def section(self, name: str) -> "Fields":
        """Empty if there is none."""
        return Fields(self._values.get(name, {}), self.at(name))

    def required_section(self, name: str) -> "Fields":
        return Fields(self._required(name), self.at(name))

    def objects(self, name: str) -> Iterator["Fields"]:
        for position, item in enumerate(self._typed(name, list)):
            yield Fields(item, f"{self.at(name)}[{position}]")

    def numbers(self) -> dict[str, float]:
        """All of this object's fields."""
        return {name: self.number(name) for name in self._values}

    def values(self) -> Mapping[str, Any]:
        return self._values

    def at(self, name: str) -> str:
        # A file's name ends with a colon, before which there is no dot to set.
        return f"{self.where} {name}" if self.where.endswith(":") else f"{self.where}.{name}"

    def _required(self, name: str) -> Any:
        if name not in self._values:
            raise BadResults(f"{self.at(name)}: is missing")
        return self._values[name]

    def _typed(self, name: str, wanted: type) -> Any:
        value = self._required(name)
        if not isinstance(value, wanted):
            raise BadResults(f"{self.at(name)}: expected {WORDS[wanted]}, got {_shown(value)}")
        return value


def number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadResults(f"{where}: expected a finite number, got {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
