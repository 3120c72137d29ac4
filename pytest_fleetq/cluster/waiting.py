"""Waiting for what can be seen."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

from pytest_fleetq.cluster.errors import NotInTime

FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.05

T = TypeVar("T")
Nothing = Literal[False, 0] | None  # what a look may bring besides what is waited for


def until(
    look: Callable[[], T | Nothing],
    what: str,
    within: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> T:
    """The first true thing that `look` sees.

    `meanwhile` is called between looks, and may raise what makes waiting pointless.

    Raises:
        NotInTime: after `within` seconds; says what was seen last.
    """
    deadline = time.monotonic() + within
    pause = FIRST_PAUSE
    while not (seen := look()):
        meanwhile()
        if time.monotonic() >= deadline:
            raise NotInTime(f"not within {within:g} s: {what}; last seen: {seen!r}")
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)
    return seen
