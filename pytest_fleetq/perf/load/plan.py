"""What a load driver is told, and what it tells of itself: two small JSON files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

BUILT_IN = ("submit", "get", "stats")
MOST_IN_FLIGHT = 10_000
PLAN, STARTED, RESULT = "plan.json", "started", "result.json"  # in the folder of a load


@dataclass(frozen=True, slots=True)
class Plan:
    """One load.

    Attributes:
        name: Of the load, for the history.
        addresses: Of the pods themselves, past any proxies.
        rate: Calls a second.
        duration: Seconds.
        mix: Share of each operation: one of BUILT_IN, or `module:function`.
        settings: For the operations.
        timeout: Seconds a call may take.
        history: The file to record calls in.
        seed: Of the order of operations.
    """

    name: str
    addresses: Sequence[str]
    rate: float
    duration: float
    mix: Mapping[str, float]
    history: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 10.0
    seed: int = 0

    @property
    def calls(self) -> int:
        return max(1, round(self.rate * self.duration))

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class LoadResult:
    """How a load went.

    Attributes:
        calls: How many were due.
        errors: How many of them failed, or have an unknown outcome.
        dropped: How many were not made, because 10 000 others were under way.
        lag_p50, lag_p99, lag_max: Seconds by which the driver itself was late.
    """

    calls: int
    errors: int
    dropped: int
    lag_p50: float
    lag_p99: float
    lag_max: float

    def problem(self, max_lag: float) -> str:
        """Why nothing can be concluded from it, or ""."""
        if self.dropped:
            return (
                f"the driver left out {self.dropped} of {self.calls} calls, "
                f"with {MOST_IN_FLIGHT} under way"
            )
        if self.lag_p99 > max_lag:
            return (
                f"the load driver itself was late: by {1000 * self.lag_p99:.3g} ms (p99), and "
                f"{1000 * max_lag:g} ms are allowed; the machine is too busy for this load"
            )
        return ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))
