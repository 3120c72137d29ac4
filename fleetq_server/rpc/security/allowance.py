"""What one principal may ask of one pod at a time."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fleetq_server.errors import Overloaded

WAIT_SECONDS = 1.0  # to tell those who hold too many long polls; one of theirs may end any moment


class Allowance:
    """Calls per second by a token bucket that holds one second's worth, and long polls at once."""

    def __init__(
        self, rate: float, waiting: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._waiting = waiting
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}  # what is in it, since when
        self._held: Counter[str] = Counter()

    def spend(self, name: str) -> None:
        """Raises: Overloaded, with the time until there is one more."""
        now = self._monotonic()
        left, since = self._buckets.get(name, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        if left < 1:
            self._buckets[name] = (left, now)
            what = f"{name} makes more than {self._rate:g} calls per second at this pod"
            raise Overloaded(what, round((1 - left) / self._rate, 3))
        self._buckets[name] = (left - 1, now)

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Around a long poll. Raises: Overloaded."""
        if self._held[name] >= self._waiting:
            raise Overloaded(f"{self._waiting} calls of {name} wait at this pod", WAIT_SECONDS)
        self._held[name] += 1
        try:
            yield
        finally:
            self._held[name] -= 1
