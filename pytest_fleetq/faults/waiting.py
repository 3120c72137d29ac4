"""Waiting for what can be seen, with a bound, and saying on timeout what was seen instead."""

import time
from collections.abc import Callable
from typing import TypeVar

from pytest_fleetq.faults.errors import FaultError

GLANCE_SECONDS = 0.003

T = TypeVar("T")


def until(look: Callable[[], T], what: str, within: float = 5.0) -> T:
    """The first true thing that `look` sees. FaultError after `within` seconds."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise FaultError(f"not within {within:g} s: {what}; last seen: {seen!r}")
        time.sleep(GLANCE_SECONDS)
    return seen
