"""The benchmarks by name."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fleetq_server.bench import (
    backlog,
    claiming,
    cycle,
    fairness,
    latency,
    memory,
    recovery,
    submits,
)
from fleetq_server.bench.conditions import conditions
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.report import Report


class Bench(NamedTuple):
    measure: Callable[[Plan], Report]
    sizes: Sizes


BENCHES: Mapping[str, Bench] = {
    "claiming": Bench(claiming.measure, claiming.SIZES),
    "cycle": Bench(cycle.measure, cycle.SIZES),
    "submits": Bench(submits.measure, submits.SIZES),
    "latency": Bench(latency.measure, latency.SIZES),
    "recovery": Bench(recovery.measure, recovery.SIZES),
    "fairness": Bench(fairness.measure, fairness.SIZES),
    "backlog": Bench(backlog.measure, backlog.SIZES),
    "memory": Bench(memory.measure, memory.SIZES),
}


def run(
    name: str,
    directory: Path,
    seed: int,
    given: Mapping[str, Any],
    say: Callable[[str], None],
) -> Report:
    """Measures in `directory`; `given` are the Sizes that are not the benchmark's own."""
    bench = BENCHES[name]
    say("looking at the machine")
    about = conditions(directory)
    begun = time.monotonic()
    report = bench.measure(Plan(replace(bench.sizes, **given), directory, seed, say))
    took = {"seconds": round(time.monotonic() - begun, 1), "seed": seed}
    return replace(report, conditions={**report.conditions, **about, **took})
