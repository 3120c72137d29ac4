"""Results and pairs made by hand."""

from collections.abc import Iterable, Mapping
from random import Random
from typing import Any

from pytest_fleetq.perf.gate.samples import Pair
from pytest_fleetq.perf.results import Benchmark, Configuration, Results

MACHINE: Mapping[str, str | int] = {"cpu": "Z80", "cores": 1}
CPU, RATE = "cpu_seconds_per_step", "throughput_per_sec"


def results(
    metrics: Mapping[str, float] | None = None,
    counts: Mapping[str, float] | None = None,
    *,
    name: str = "b",
    fingerprint: Mapping[str, str | int] = MACHINE,
    **more: Any,
) -> Results:
    benchmark = Benchmark(name, metrics or {}, counts=counts or {}, **more)
    configuration = Configuration(fingerprint=fingerprint)
    return Results("2026-01-01T00:00:00+00:00", configuration, [benchmark])


def pair(base: Mapping[str, float], head: Mapping[str, float]) -> Pair:
    return Pair(results(base), results(head))


def cpu_pairs(slowdown: float, count: int, *, spread: float = 0.02, seed: int = 1) -> list[Pair]:
    """Head needs so many times the CPU time, with a little noise."""
    rng = Random(seed)
    return [
        pair({CPU: rng.lognormvariate(0, spread)}, {CPU: slowdown * rng.lognormvariate(0, spread)})
        for _ in range(count)
    ]


def count_pairs(values: Iterable[tuple[float, float]]) -> list[Pair]:
    return [Pair(results(counts={"n": base}), results(counts={"n": head})) for base, head in values]
