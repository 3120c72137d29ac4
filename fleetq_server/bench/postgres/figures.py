"""What is measured. The targets are those of two cores with the server beside the pods."""

from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from fleetq_server.bench import cycle, latency, recovery
from fleetq_server.bench.backlog import MIX, SMALL
from fleetq_server.bench.backlog import live as claims_per_second
from fleetq_server.bench.bench import Bench
from fleetq_server.bench.claiming import PARALLELISM, drain
from fleetq_server.bench.fleet import problems
from fleetq_server.bench.handlers import HOLD
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.postgres.place import new_store
from fleetq_server.bench.report import Line, Report, at_least, at_most
from fleetq_server.bench.writer import Writer


def measure_claiming(plan: Plan) -> Report:
    rates: dict[int, list[float]] = {1: [], 2: []}
    wrong: list[str] = []
    for number in range(plan.rounds):
        for pods, found in rates.items():
            plan.say(f"round {number + 1} of {plan.rounds}: {pods} pods", number / plan.rounds)
            with new_store(plan.store, plan.steps, paused=True) as url:
                found.append(drain(url, pods, plan.steps))
                wrong += problems(url)
    lines = [
        Line("one pod", "steps/s", rates[1], target=at_least(9000)),
        Line("2 pods together", "steps/s", rates[2], target=at_least(12_000)),
    ]
    return Report("claiming", lines, wrong, {"steps": plan.steps, "parallelism": PARALLELISM})


def measure_cycle(plan: Plan) -> Report:
    rates: list[float] = []
    wrong: list[str] = []
    for number in range(plan.rounds):
        plan.say(f"round {number + 1} of {plan.rounds}", number / plan.rounds)
        with new_store(plan.store) as url:
            rates.append(cycle.through(url, plan))
            wrong += problems(url)
    lines = [Line("submit to completion", "steps/s", rates, target=at_least(5000))]
    about = {"steps": plan.steps, "batch": cycle.BATCH, "in_flight": cycle.IN_FLIGHT}
    return Report("cycle", lines, wrong, about)


def measure_latency(plan: Plan) -> Report:
    with new_store(plan.store) as url:
        idle, took = latency.idle_and_latencies(url, plan, Random(plan.seed))
        wrong = problems(url)
    lines = [
        Line("submit to start, p50", "ms", took, target=at_most(5), summary=median),
        Line("submit to start, p99", "ms", took, summary=latency.p99),
        Line("an idle pod's time", "% of a core", idle, summary=max),
    ]
    return Report("latency", lines, wrong, latency.workload(plan))


def measure_recovery(plan: Plan) -> Report:
    rng = Random(plan.seed)
    wrong: list[str] = []
    lines: list[Line] = []
    for leader in (False, True):
        case = recovery.Case(plan.steps, leader)
        times: list[recovery.Times] = []
        for number in range(plan.rounds):
            plan.say(f"{'the leader' if leader else 'a pod'}, round {number + 1} of {plan.rounds}")
            times.append(_recover(plan, case, f"{leader}-{number}", rng, wrong))
        lines += recovery.lines(case, times, [], all_within=500)
    return Report("recovery", lines, wrong, {"pods_left": plan.pods, "summary": "worst"})


def _recover(
    plan: Plan, case: recovery.Case, name: str, rng: Random, wrong: list[str]
) -> recovery.Times:
    directory = Path(plan.directory, name)
    directory.mkdir()
    payload = str(directory).encode()
    with new_store(plan.store, case.held, kind=HOLD, payload=payload) as url:
        times = recovery.kill_one(url, directory, case, plan.pods, rng)
        wrong += problems(url)
    return times


def measure_backlog(plan: Plan) -> Report:
    few: list[float] = []
    many: list[float] = []
    plan.say(f"making {plan.steps:,} steps")
    store = partial(new_store, plan.store, mix=MIX)
    with store(plan.steps) as large, Writer(large) as writer:
        for number in range(plan.rounds):
            plan.say(f"round {number + 1} of {plan.rounds}", number / plan.rounds)
            with store(SMALL) as small, Writer(small) as small_writer:
                few.append(claims_per_second(small_writer))
            many.append(claims_per_second(writer))
        plan.say("counting all steps")
        wrong = problems(large)
    share = [there / here for there, here in zip(many, few, strict=True)]
    lines = [
        Line(f"claims among {SMALL:,} steps", "steps/s", few),
        Line(f"claims among {plan.steps:,} steps", "steps/s", many),
        Line("among many / among few", "", share, target=at_least(0.9)),
    ]
    about = {"finished_percent": MIX.finished, "scheduled_percent": MIX.scheduled}
    return Report("backlog", lines, wrong, about)


BENCHES = {
    "claiming": Bench(measure_claiming, Sizes(steps=50_000, rounds=3)),
    "cycle": Bench(measure_cycle, Sizes(steps=50_000, rounds=3)),
    "latency": Bench(measure_latency, Sizes(duration=10.0)),
    "recovery": Bench(measure_recovery, Sizes(steps=500, pods=2, rounds=3)),
    "backlog": Bench(measure_backlog, Sizes(steps=1_000_000, rounds=7)),
}
