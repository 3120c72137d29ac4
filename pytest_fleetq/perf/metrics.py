"""What a metric's name says of it: which way is better, and how it is judged.

Metrics are judged by ratios, with what a shared machine's noise needs as the least change that
counts. Counts are exact, and not here: any growth of one counts.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum


class Better(StrEnum):
    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Judging:
    """How one metric is judged.

    Attributes:
        better: Which way is better.
        primary: Whether it can fail a gate; otherwise it is only shown.
        min_effect: The smallest change that counts, as a share: 0.05 is 5 %.
    """

    better: Better
    primary: bool = False
    min_effect: float = 0.10

    def __post_init__(self) -> None:
        if not 0 < self.min_effect < 10:
            raise ValueError(f"expected a share above 0, such as 0.05, got {self.min_effect}")

    @property
    def tolerance(self) -> float:
        """What a metric may have got worse by at the most, for all one knows, to pass."""
        return 2 * self.min_effect

    def worse(self, base: float, head: float) -> float:
        """How many times worse `head` is: above 1 if it is."""
        return head / base if self.better is Better.LOWER else base / head


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str] = field(repr=False)
    judging: Judging


def _rule(pattern: str, better: Better, min_effect: float, *, primary: bool = False) -> _Rule:
    return _Rule(re.compile(pattern), Judging(better, primary, min_effect))


# The first that is found in the name counts. Noise grows from CPU time to latency; what lies
# beyond the median of a latency needs more runs than a gate has time for.
_RULES = (
    _rule(r"cpu_\w*per_", Better.LOWER, 0.05, primary=True),
    _rule(r"^(rss|memory)(_peak|_max|_usage)?_(mb|bytes)$", Better.LOWER, 0.05, primary=True),
    _rule(r"(_per_sec(ond)?$|throughput)", Better.HIGHER, 0.10, primary=True),
    _rule(r"(p50|median)_?\w*_(ms|us|seconds)$", Better.LOWER, 0.10, primary=True),
    _rule(r"(p9\d+|max)\w*_(ms|us|seconds)$", Better.LOWER, 0.20),
    _rule(r"_(ms|us|seconds|mb|bytes|percent)$", Better.LOWER, 0.10),
    _rule(r"(success|hit)_rate", Better.HIGHER, 0.10),
)


def judging_of(metric: str) -> Judging | None:
    """None: the name does not tell which way is better."""
    return next((rule.judging for rule in _RULES if rule.pattern.search(metric)), None)
