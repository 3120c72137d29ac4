"""What a check finds."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from fleetq_server.errors import StoreUnavailable
from fleetq_server.store.base import Reader

Facts = Mapping[str, str | int | float | bool]


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


def check_schema(have: int, newest: int, *, serves: bool = False) -> Check:
    """`serves`: whether a newer one is such that this version works with it."""
    if have == 0:
        return problem("schema", "none: no pod has ever used it", "name the store of a fleet")
    if have > newest and serves:
        finding = f"version {have}, of which this installation knows {newest} and can work with it"
        return warning("schema", finding, "install the newer pytest-fleetq here too")
    if have > newest:
        finding = f"version {have}, but this installation knows only {newest}"
        return problem("schema", finding, "install a newer pytest-fleetq")
    if have < newest:
        finding = f"version {have}; this installation writes {newest}"
        return warning("schema", finding, "the next pod to start brings it up to date")
    return ok("schema", f"version {have}")


def check_scan(store: Reader, keep: str) -> Check:
    """Of the counters; `keep`: what to do if they are wrong."""

    def scan() -> Check:
        audit = store.audit()
        if audit.problems:
            return problem("contents", "; ".join(audit.problems), keep)
        counted = f"{audit.scanned.submitted:,} steps, no orphans"
        return ok("contents", f"counters and scan agree on {counted}")

    return readable("contents", scan, keep)


def readable(name: str, check: Callable[[], Check], keep: str) -> Check:
    try:
        return check()
    except StoreUnavailable as error:
        return problem(name, str(error.__cause__ or error), keep)
