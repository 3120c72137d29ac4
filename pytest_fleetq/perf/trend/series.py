"""Stored results as series: one per benchmark, metric and machine, in the order of history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from pytest_fleetq.perf.changes import Change, find_changes
from pytest_fleetq.perf.fingerprint import Fingerprint, identity
from pytest_fleetq.perf.gate.samples import COUNT
from pytest_fleetq.perf.metrics import Better, Judging
from pytest_fleetq.perf.results import Benchmark, Results

OF_RAW = " / raw"
COMMIT_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Point:
    timestamp: str
    commit: str
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """
    Attributes:
        metric: With " / raw" behind it if it is the ratio to what was measured beside it, which
            stays the same when the machine slows down.
        better: None if nobody knows.
        work: The workload: with another one, another series begins.
    """

    benchmark: str
    metric: str
    machine: str
    fingerprint: Fingerprint
    work: str
    better: Better | None
    points: list[Point] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        return [point.value for point in self.points]

    @property
    def changes(self) -> Sequence[Change]:
        values = self.values
        return find_changes(values) if min(values) > 0 else []

    @property
    def level(self) -> float:
        """Since the last change, or of all."""
        changes = self.changes
        return median(self.values[changes[-1].at if changes else 0 :])

    def is_worse(self, change: Change) -> bool | None:
        if self.better is None:
            return None
        return (change.ratio > 1) == (self.better is Better.LOWER)

    def document(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "metric": self.metric,
            "machine": self.machine,
            "fingerprint": dict(self.fingerprint),
            "workload": self.work,
            "level": self.level,
            "points": [
                {"timestamp": point.timestamp, "commit": point.commit, "value": point.value}
                for point in self.points
            ],
            "changes": [
                {
                    "commit": self.points[change.at].commit,
                    "timestamp": self.points[change.at].timestamp,
                    "ratio": change.ratio,
                    "p": change.p,
                    "worse": self.is_worse(change),
                }
                for change in self.changes
            ],
        }


def arrange(stored: Sequence[Results], commits: Sequence[str] | None = None) -> list[Series]:
    """
    Args:
        commits: Only results of these, and in this order; None: all, by time.
    """
    found: dict[tuple[str, str, str, str], Series] = {}
    for results in _in_order(stored, commits):
        fingerprint = results.configuration.fingerprint
        machine = identity(fingerprint)
        commit = (results.configuration.commit or "")[:COMMIT_DIGITS]
        for benchmark in results.benchmarks:
            name, work = benchmark.benchmark_name, _describe(benchmark.workload)
            for metric, judging, value in _values(benchmark):
                better = judging.better if judging else None
                key = (name, metric, machine, work)
                new = Series(name, metric, machine, fingerprint, work, better)
                series = found.setdefault(key, new)
                series.points.append(Point(results.timestamp, commit, value))
    return list(found.values())


def _in_order(stored: Sequence[Results], commits: Sequence[str] | None) -> list[Results]:
    if commits is None:
        return sorted(stored, key=_time)
    place = {commit: number for number, commit in enumerate(commits)}
    kept = [results for results in stored if results.configuration.commit in place]
    return sorted(kept, key=lambda r: (place[r.configuration.commit or ""], _time(r)))


def _time(results: Results) -> float:
    at = datetime.fromisoformat(results.timestamp)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _values(benchmark: Benchmark) -> Iterator[tuple[str, Judging | None, float]]:
    for name, value in benchmark.counts.items():
        yield name, COUNT, value
    for name, value in benchmark.metrics.items():
        yield name, benchmark.judging_of(name), value
    for name, value in benchmark.ratio.items():
        yield name + OF_RAW, benchmark.judging_of(name), value


def _describe(workload: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(workload.items()))
