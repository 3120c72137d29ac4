"""How often the gate is right: whole gates, replayed over pairs of runs that were really measured.

`data/same_code.jsonl` holds pairs of runs of `ci/step_cost.py` in which base and head were the same
commit, in the order they were measured in, on a machine that others used as well. A trial begins at
a random place in it and tosses the coin of each pair anew, which is the one thing that the gate
itself leaves to chance; a slowdown is put into what head measured.

python -m tests.perf.gate.campaign [TRIALS]    prints the table of docs/gate.md
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle, islice
from math import exp
from pathlib import Path
from random import Random
from typing import NamedTuple

from pytest_fleetq.perf.gate.course import Course, Judgement, run
from pytest_fleetq.perf.gate.judging import Verdict
from pytest_fleetq.perf.gate.samples import Key, Pair
from pytest_fleetq.perf.results import Benchmark, Configuration, Results

RECORDED = Path(__file__).with_name("data") / "same_code.jsonl"
BENCHMARK = "step_cost"
CPU, THROUGHPUT = "cpu_seconds_per_step", "throughput_per_sec"
COURSE = Course(warm_up=0, resamples=1000)

Metrics = Mapping[str, float]
Source = Callable[[Random], Iterator[tuple[Metrics, Metrics]]]


@cache
def recorded() -> list[tuple[Metrics, Metrics]]:
    """(first run, second run) of each pair."""
    lines = RECORDED.read_text(encoding="utf-8").splitlines()
    return [(pair["one"], pair["other"]) for pair in map(json.loads, lines) if "one" in pair]


def real_noise(rng: Random) -> Iterator[tuple[Metrics, Metrics]]:
    pairs = recorded()
    begin = rng.randrange(len(pairs))
    return islice(cycle(pairs), begin, None)


def synthetic_noise(rng: Random) -> Iterator[tuple[Metrics, Metrics]]:
    """Worse than what was recorded: it comes in blocks, as neighbours on a machine do, with spikes.

    Wall-clock figures vary by some 35 % (coefficient of variation), CPU time by 15 %.
    """
    weather = 0.0
    while True:
        weather = 0.9 * weather + rng.gauss(0, 0.08)
        yield _synthetic_run(rng, weather), _synthetic_run(rng, weather)


def _synthetic_run(rng: Random, weather: float) -> Metrics:
    spike = 1.5 if rng.random() < 0.03 else 0.0
    slowness = exp(weather + rng.gauss(0, 0.2)) + spike
    return {
        CPU: 5e-5 * exp(0.4 * weather + rng.gauss(0, 0.12)) * (1 + spike / 10),
        THROUGHPUT: 15_000 / slowness,
        "batch_p50_ms": 3 * slowness * exp(rng.gauss(0, 0.03)),
        "rss_peak_mb": 38 * exp(rng.gauss(0, 0.003)),
    }


@dataclass(frozen=True, slots=True)
class Change:
    """What head does worse: metrics get so many times as large, counts so much larger."""

    name: str
    factors: Metrics = field(default_factory=dict)
    more: Metrics = field(default_factory=dict)
    seen_in: str = ""  # the metric that must tell


class Rate(NamedTuple):
    trials: int
    found: int  # REGRESSION, in the metric it is in
    verdicts: Counter[Verdict]
    mean_pairs: float

    @property
    def share(self) -> float:
        return self.found / self.trials


SAME = Change("the same code")
CHANGES = (
    SAME,
    *(
        Change(f"CPU per step +{percent} %", {CPU: 1 + percent / 100}, seen_in=CPU)
        for percent in (5, 10, 20, 30)
    ),
    Change("throughput −17 % (1.2 times slower)", {THROUGHPUT: 1 / 1.2}, seen_in=THROUGHPUT),
    Change("throughput −23 % (1.3 times slower)", {THROUGHPUT: 1 / 1.3}, seen_in=THROUGHPUT),
    Change("one more fsync per commit", more={"fsyncs_per_step": 0.02}, seen_in="fsyncs_per_step"),
    Change(
        "one more SQL statement per step",
        more={"sql_statements_per_step": 1},
        seen_in="sql_statements_per_step",
    ),
    Change("one more rpc per step", more={"rpcs_per_step": 1}, seen_in="rpcs_per_step"),
)


def rate(
    change: Change, trials: int, source: Source, seed: int = 1, course: Course = COURSE
) -> Rate:
    """How often a gate finds the change, or for SAME any at all."""
    judgements = [_trial(change, source, Random(f"{seed}/{n}"), course) for n in range(trials)]
    return Rate(
        trials,
        sum(_finds(judgement, change) for judgement in judgements),
        Counter(judgement.verdict for judgement in judgements),
        sum(judgement.pairs for judgement in judgements) / trials,
    )


def _trial(change: Change, source: Source, rng: Random, course: Course) -> Judgement:
    pairs = source(rng)
    return run(course, lambda _: _pair(change, *next(pairs), rng), rng)


def _pair(change: Change, one: Metrics, other: Metrics, rng: Random) -> Pair:
    base, head = (one, other) if rng.random() < 0.5 else (other, one)
    return Pair(_results(base), _results(head, change))


COUNTS = {
    "commits_per_step": 0.024,
    "fsyncs_per_step": 0.03,
    "rpcs_per_step": 0.12,
    "sql_statements_per_step": 2.448,
}


def _results(metrics: Metrics, change: Change = SAME) -> Results:
    benchmark = Benchmark(
        BENCHMARK,
        {name: value * change.factors.get(name, 1) for name, value in metrics.items()},
        counts={name: value + change.more.get(name, 0) for name, value in COUNTS.items()},
    )
    return Results("2026-01-01T00:00:00+00:00", Configuration(), [benchmark])


def _finds(judgement: Judgement, change: Change) -> bool:
    if not change.seen_in:
        return judgement.verdict is Verdict.REGRESSION
    verdicts = {finding.key: finding.verdict for finding in judgement.findings}
    return verdicts[Key(BENCHMARK, change.seen_in)] is Verdict.REGRESSION


def table(trials: int) -> Iterator[str]:
    yield "| head is | noise | REGRESSION | INCONCLUSIVE | PASS | mean pairs |"
    yield "|---|---|---|---|---|---|"
    for change in CHANGES:
        for name, source in (("recorded", real_noise), ("synthetic", synthetic_noise)):
            found = rate(change, trials, source)
            shares = [100 * found.share]
            shares += [
                100 * found.verdicts[v] / trials for v in (Verdict.INCONCLUSIVE, Verdict.PASS)
            ]
            cells = " | ".join(f"{share:.1f} %" for share in shares)
            yield f"| {change.name} | {name} | {cells} | {found.mean_pairs:.0f} |"


if __name__ == "__main__":
    for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000):
        print(line, flush=True)
