"""Thresholds, and when crossing one is worth telling.

A value must stay above its limit for two looks before it is an alert, and fall below nine tenths
of it for two before that ends: a value that trembles around its limit is told of once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_fleetq.perf.monitor.model import Look

LOOKS = 2
CLEAR_FRACTION = 0.9


@dataclass(frozen=True, slots=True)
class Limits:
    cpu: float = 80.0  # percent: of one core for a pod, of all for the system
    memory: float = 1000.0  # MB of one pod
    system_memory: float = 90.0  # percent
    disk: float = 90.0  # percent
    backlog: float = 1000.0  # steps PENDING
    failure_rate: float = 10.0  # percent of the steps that end


@dataclass(frozen=True, slots=True)
class Alert:
    what: str
    value: float
    limit: float
    unit: str
    over: bool  # False: it has ended

    def __str__(self) -> str:
        how = "is above" if self.over else "is back below"
        return f"{self.what} {how} {self.limit:g}{self.unit}: {self.value:.4g}{self.unit}"


@dataclass(slots=True)
class _State:
    over: bool = False
    looks: int = 0  # in a row that speak for a change


@dataclass(slots=True)
class Alerts:
    limits: Limits
    raised: int = 0
    _states: dict[str, _State] = field(default_factory=dict)

    def look(self, look: Look) -> list[Alert]:
        """What has changed: new alerts, and those that ended."""
        found: list[Alert] = []
        for what, value, limit, unit in self._values(look):
            state = self._states.setdefault(what, _State())
            if self._changes(state, value, limit):
                found.append(Alert(what, value, limit, unit, state.over))
                self.raised += state.over
        return found

    @property
    def standing(self) -> list[str]:
        return [what for what, state in self._states.items() if state.over]

    def _changes(self, state: _State, value: float, limit: float) -> bool:
        against = value < limit * CLEAR_FRACTION if state.over else value > limit
        state.looks = state.looks + 1 if against else 0
        if state.looks < LOOKS:
            return False
        state.over, state.looks = not state.over, 0
        return True

    def _values(self, look: Look) -> Iterator[tuple[str, float, float, str]]:
        limits = self.limits
        yield "CPU of the system", look.system.cpu_percent, limits.cpu, " %"
        yield "memory of the system", look.system.memory_percent, limits.system_memory, " %"
        yield "disk", look.system.disk_percent, limits.disk, " %"
        for pod in look.pods:
            yield f"CPU of {pod.pod}", pod.cpu_percent, limits.cpu, " %"
            yield f"memory of {pod.pod}", pod.rss_mb, limits.memory, " MB"
        if look.queues is not None:
            yield "backlog", look.queues.pending, limits.backlog, " steps"
            if look.queues.failure_percent is not None:
                yield "failure rate", look.queues.failure_percent, limits.failure_rate, " %"
