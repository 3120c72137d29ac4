"""Many durations in little room: buckets as HdrHistogram has them.

Each power of two is cut into 128 equal parts, and a value is told as the middle of its part: off by
1/256 of itself at most (0.4 %), whatever the range. Below 256 ns there is one bucket for each
nanosecond.
"""

import math
from collections import Counter
from collections.abc import Iterable

BITS = 7
PARTS = 1 << BITS
RELATIVE_ERROR = 1 / (2 * PARTS)
NANOSECONDS = 1_000_000_000


class Histogram:
    """Durations in seconds."""

    def __init__(self, seconds: Iterable[float] = ()) -> None:
        self._buckets: Counter[int] = Counter()
        self._least = 0
        self._most = 0
        self._sum = 0
        self.count = 0
        for value in seconds:
            self.add(value)

    def add(self, seconds: float) -> None:
        """Raises: ValueError for less than nothing."""
        nanoseconds = round(seconds * NANOSECONDS)
        if nanoseconds < 0:
            raise ValueError(f"{seconds} s is no duration")
        self._buckets[_bucket(nanoseconds)] += 1
        self._least = min(self._least, nanoseconds) if self.count else nanoseconds
        self._most = max(self._most, nanoseconds)
        self._sum += nanoseconds
        self.count += 1

    def percentile(self, percent: float) -> float:
        """The least value that so many percent of all values do not exceed; in seconds.

        Raises: ValueError if it is empty.
        """
        if not self.count:
            raise ValueError("there is nothing in it")
        wanted = max(1, math.ceil(self.count * percent / 100 - 1e-9))
        for bucket in sorted(self._buckets):
            wanted -= self._buckets[bucket]
            if wanted <= 0:
                return min(max(_middle(bucket), self._least), self._most) / NANOSECONDS
        return self._most / NANOSECONDS

    @property
    def mean(self) -> float:
        return self._sum / self.count / NANOSECONDS if self.count else math.nan

    @property
    def max(self) -> float:
        return self._most / NANOSECONDS


def _bucket(value: int) -> int:
    shift = max(0, value.bit_length() - BITS - 1)
    return shift * PARTS + (value >> shift)


def _middle(bucket: int) -> float:
    shift = max(0, bucket // PARTS - 1)
    least = (bucket - shift * PARTS) << shift
    return least + ((1 << shift) - 1) / 2
