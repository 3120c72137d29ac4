"""Draining a backlog of steps that do nothing: claims and completions, nothing else. By pods for
themselves, and by workers over gRPC."""

from pathlib import Path

from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import Transaction, play, recorded
from fleetq_server.bench.report import Line, Report, at_least, at_least_of_raw
from fleetq_server.bench.seed import QUEUE, copy, fill
from fleetq_server.bench.workers import claimed_by_workers
from fleetq_server.bench.writer import Writer
from fleetq_server.store.base import SetPaused

SIZES = Sizes(steps=50_000, pods=4, rounds=5)
PARALLELISM = 100


def measure(plan: Plan) -> Report:
    backlog = plan.directory / "backlog.db"
    fill(backlog, plan.steps)
    path = plan.directory / "fleet.db"
    tape = drained(copy(backlog, path))
    limit: list[float] = []
    one: list[float] = []
    several: list[float] = []
    wrong: list[str] = []
    for number in range(plan.rounds):
        plan.say(f"round {number + 1} of {plan.rounds}: raw limit", number / plan.rounds)
        limit.append(plan.steps / play(copy(backlog, path), tape))
        for pods, rates in ((1, one), (plan.pods, several)):
            plan.say(f"round {number + 1} of {plan.rounds}: {pods} pods", number / plan.rounds)
            rates.append(drain(copy(backlog, path), pods, plan.steps))
            wrong += problems(path)
    seen, twice = claimed_by_workers(plan)
    share = [many / single for many, single in zip(several, one, strict=True)]
    lines = [
        Line("one pod", "steps/s", one, limit, at_least_of_raw(0.6), metric="one_pod_per_sec"),
        Line(f"{plan.pods} pods together", "steps/s", several, limit, metric="all_pods_per_sec"),
        Line(f"{plan.pods} pods / one pod", "", share, target=at_least(0.8), metric="scaling"),
        *seen,
    ]
    about = {"steps": plan.steps, "parallelism": PARALLELISM, "batch": PARALLELISM}
    return Report("claiming", lines, wrong + twice, about)


def drained(path: Path) -> list[Transaction]:
    """What it takes to claim and complete all steps of a store, a batch at a time."""
    with recorded() as tape, Writer(path) as writer:
        writer.turn([SetPaused(QUEUE, False)])
        while writer.turn(claim=PARALLELISM):
            pass
    return tape


def drain(store: Path | str, pods: int, steps: int) -> float:
    """Steps per second from the moment the pods may begin."""
    with Fleet(store) as fleet:
        fleet.start(pods, parallelism=PARALLELISM)
        begun = fleet.let_go()
        ended = fleet.until_completed(steps)
    return steps / (ended - begun)
