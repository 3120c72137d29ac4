"""The benchmarks by name."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from fleetq_server.bench.bench import Bench, contributed
from fleetq_server.bench.conditions import conditions
from fleetq_server.bench.plan import Plan
from fleetq_server.bench.postgres import figures, place
from fleetq_server.bench.report import Report
from fleetq_server.errors import ConfigError

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


def find(name: str, store: str = "") -> Bench:
    if store:
        if name not in figures.BENCHES:
            known = ", ".join(figures.BENCHES)
            raise ConfigError(f"bench {name}: not over --store; there are {known}")
        return figures.BENCHES[name]
    if name in BENCHES:
        return BENCHES[name]
    found = contributed()[name].load()
    assert isinstance(found, Bench), f"{contributed()[name].value} is no Bench"
    return found


def run(
    name: str,
    directory: Path,
    seed: int,
    given: Mapping[str, Any],
    say: Callable[[str], None],
    store: str = "",
) -> Report:
    """Measures in `directory`, or in the database of a URL; `given` are the Sizes that are not the
    benchmark's own."""
    bench = find(name, store)
    say("looking at the machine")
    about = conditions(directory)
    begun = time.monotonic()
    report = bench.measure(Plan(replace(bench.sizes, **given), directory, seed, store, say))
    about = {**about, **place.about(store)} if store else about
    took = {"seconds": round(time.monotonic() - begun, 1), "seed": seed}
    return replace(report, conditions={**report.conditions, **about, **took})
