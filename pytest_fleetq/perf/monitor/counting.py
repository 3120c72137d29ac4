"""Counters of a fleet, one look after the other, as rates."""

from fleetq_server.model import Counts
from pytest_fleetq.perf.monitor.model import QueueLook

ENDED_AT_LEAST = 10  # steps, before a share of them is called a rate of failure


class Counting:
    def __init__(self) -> None:
        self._before: tuple[float, Counts] | None = None
        self._base: Counts | None = None  # the share of failures is told of what ended since
        self._failure_percent: float | None = None

    def look(self, now: float, counts: Counts) -> QueueLook:
        at, before = self._before or (now, counts)
        self._before = (now, counts)
        seconds = now - at
        return QueueLook(
            counts.scheduled,
            counts.pending,
            counts.claimed,
            counts.completed,
            counts.failed,
            (counts.submitted - before.submitted) / seconds if seconds else 0.0,
            (_completed(counts) - _completed(before)) / seconds if seconds else 0.0,
            self._failures(counts),
        )

    def _failures(self, counts: Counts) -> float | None:
        base = self._base or counts
        self._base = base
        failed = max(0, counts.failed - base.failed)
        ended = failed + max(0, _completed(counts) - _completed(base))
        if ended >= ENDED_AT_LEAST:
            self._failure_percent = 100 * failed / ended
            self._base = counts
        return self._failure_percent


def _completed(counts: Counts) -> int:
    return counts.completed + counts.pruned  # what is pruned was completed, or cancelled, before
