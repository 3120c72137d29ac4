"""What a check finds."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(NamedTuple):
    name: str
    level: Level
    finding: str
    advice: str = ""  # what to do next

    def document(self) -> dict[str, str]:
        return self._asdict()


def ok(name: str, finding: str) -> Check:
    return Check(name, Level.OK, finding)


def warning(name: str, finding: str, advice: str) -> Check:
    return Check(name, Level.WARNING, finding, advice)


def problem(name: str, finding: str, advice: str) -> Check:
    return Check(name, Level.PROBLEM, finding, advice)


def size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
