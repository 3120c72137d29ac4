"""The benchmarks by name."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
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
from fleetq_server.bench.fleet import BenchError
from fleetq_server.bench.plan import Plan, Say
from fleetq_server.bench.postgres import figures, place
from fleetq_server.bench.profiling import profiled
from fleetq_server.bench.report import Report
from fleetq_server.errors import ConfigError, Unavailable

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
    say: Say,
    store: str = "",
    profile: Path | None = None,
) -> Report:
    """Measures in `directory`, or in the database of a URL; `given` are the Sizes that are not the
    benchmark's own. Flame graphs of all pods go to the folder `profile`."""
    bench = find(name, store)
    say("looking at the machine", 0.0)
    about = conditions(directory)
    begun = time.monotonic()
    sizes = replace(bench.sizes, **given)
    plan = Plan(sizes, directory, seed, store, say)
    try:
        report = _profiled(bench, plan, name, profile) if profile else bench.measure(plan)
    except (BenchError, Unavailable) as error:  # the other benchmarks need not suffer
        report = Report(name, [], [f"not measured: {error}"])
    about = {**about, **place.about(store)} if store else about
    took = {"seconds": round(time.monotonic() - begun, 1), "seed": seed}
    workload = {**asdict(sizes), **report.workload, "store": store.partition(":")[0] or "sqlite"}
    known = {**report.workload, **report.conditions, **about, **took}
    return replace(report, workload=workload, conditions=known)


def _profiled(bench: Bench, plan: Plan, name: str, directory: Path) -> Report:
    with profiled(directory, name, plan.directory) as profiler:
        report = bench.measure(plan)
        pictures = profiler.finish()
    conditions = {**report.conditions, "profiled": profiler.how}
    return replace(report, conditions=conditions, pictures=pictures)
