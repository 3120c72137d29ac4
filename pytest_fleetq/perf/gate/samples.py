"""What pairs of runs measured, sorted by metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytest_fleetq.perf.errors import Incomparable, NoData
from pytest_fleetq.perf.metrics import Better, Judging
from pytest_fleetq.perf.results import Benchmark, Results

# Fewer is better, and any more is too many; the least change matters only if a count varies.
COUNT = Judging(Better.LOWER, primary=True, min_effect=0.02)


class Pair(NamedTuple):
    """Two runs next to each other in time."""

    base: Results
    head: Results


class Key(NamedTuple):
    benchmark: str
    metric: str


@dataclass(frozen=True, slots=True)
class Series:
    """One metric's values, (base, head) for each pair. None: that run did not have it."""

    key: Key
    judging: Judging | None
    is_count: bool
    values: Sequence[tuple[float | None, float | None]]

    @property
    def primary(self) -> bool:
        return self.judging is not None and self.judging.primary

    @property
    def complete(self) -> list[tuple[float, float]]:
        """Pairs that have it on both sides."""
        return [(b, h) for b, h in self.values if b is not None and h is not None]

    @property
    def constant(self) -> bool:
        """Whether each side always has the same value."""
        return all(len({pair[side] for pair in self.values}) == 1 for side in (0, 1))


def sort_out(pairs: Sequence[Pair]) -> list[Series]:
    """
    Raises:
        NoData: a benchmark did not succeed.
        Incomparable: base and head did not do the same work.
    """
    for pair in pairs:
        _check(pair)
    last = pairs[-1]
    return [
        Series(key, judging, is_count, [_values(pair, key, is_count) for pair in pairs])
        for key, judging, is_count in _keys(last)
    ]


def _check(pair: Pair) -> None:
    for side, results in pair._asdict().items():
        if not results.benchmarks:
            raise NoData(f"{side}: there is no benchmark in its results")
        for benchmark in results.benchmarks:
            if not benchmark.success:
                raise NoData(f"{side}: {benchmark.benchmark_name} says it did not succeed")
    for one in pair.base.benchmarks:
        other = benchmark_of(pair.head, one.benchmark_name)
        if other is not None and one.workload != other.workload:
            raise Incomparable(
                f"{one.benchmark_name} did other work in head: workload {dict(other.workload)}, "
                f"not {dict(one.workload)}"
            )


def _keys(pair: Pair) -> Iterator[tuple[Key, Judging | None, bool]]:
    """In the order of the documents, head's after base's. Head says how it is judged."""
    seen: set[tuple[Key, bool]] = set()
    for benchmark in (*pair.base.benchmarks, *pair.head.benchmarks):
        name = benchmark.benchmark_name
        says = benchmark_of(pair.head, name) or benchmark
        for is_count, metrics in ((True, benchmark.counts), (False, benchmark.metrics)):
            for metric in metrics:
                key = Key(name, metric)
                if (key, is_count) not in seen:
                    seen.add((key, is_count))
                    yield key, COUNT if is_count else says.judging_of(metric), is_count


def benchmark_of(results: Results, name: str) -> Benchmark | None:
    return next((b for b in results.benchmarks if b.benchmark_name == name), None)


def _values(pair: Pair, key: Key, is_count: bool) -> tuple[float | None, float | None]:
    return _value(pair.base, key, is_count), _value(pair.head, key, is_count)


def _value(results: Results, key: Key, is_count: bool) -> float | None:
    benchmark = benchmark_of(results, key.benchmark)
    if benchmark is None:
        return None
    return (benchmark.counts if is_count else benchmark.metrics).get(key.metric)
