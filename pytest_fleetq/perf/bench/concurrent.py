"""Many clients at once, each waiting for its own steps: with all pods, and with one alone."""

import asyncio
import time
from pathlib import Path
from typing import NamedTuple

from fleetq_server.bench.bench import Bench
from fleetq_server.bench.cycle import taped
from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.handlers import NOOP
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import play
from fleetq_server.bench.report import Line, Report, at_least, latencies
from fleetq_server.bench.seed import PAYLOAD, copy, fill
from fleetq_server.client import AsyncClient
from fleetq_server.model import NewStep
from pytest_fleetq.perf.bench.watched import Watched, watched

SIZES = Sizes(steps=5000, pods=4, rounds=3)
CLIENTS = 8
BATCH = 10  # steps per request


class Run(NamedTuple):
    rate: float  # completed steps per second
    completed: int
    took: list[float]  # milliseconds from each submit until its steps were all known as completed
    used: Watched


def measure(plan: Plan) -> Report:
    empty, path = plan.directory / "empty.db", plan.directory / "fleet.db"
    fill(empty, 0, paused=False)
    tape = taped(copy(empty, path), plan.steps, BATCH)
    limit: list[float] = []
    alone: list[Run] = []
    all_pods: list[Run] = []
    wrong: list[str] = []
    for number in range(plan.rounds):
        plan.say(f"round {number + 1} of {plan.rounds}", number / plan.rounds)
        limit.append(plan.steps / play(copy(empty, path), tape))
        for pods, runs in ((1, alone), (plan.pods, all_pods)):
            runs.append(_run(copy(empty, path), pods, plan.steps))
            wrong += problems(path)
    about = {"clients": CLIENTS, "batch": BATCH, "payload": len(PAYLOAD)}
    return Report("concurrent", _lines(plan, alone, all_pods, limit), wrong, about)


def _lines(plan: Plan, alone: list[Run], runs: list[Run], limit: list[float]) -> list[Line]:
    share = [many.rate / one.rate for many, one in zip(runs, alone, strict=True)]
    completed = sum(run.completed for run in (*alone, *runs)) / (2 * plan.rounds * plan.steps)
    return [
        Line(f"{plan.pods} pods together", "steps/s", [run.rate for run in runs], limit,
             at_least(4), metric="throughput_ops_per_sec"),
        Line("one pod", "steps/s", [run.rate for run in alone], limit,
             metric="one_pod_throughput_ops_per_sec"),
        Line(f"{plan.pods} pods / one pod", "", share, metric="scaling"),
        Line("completed", "%", [100 * completed], target=at_least(100), metric="success_rate"),
        *latencies("a request's steps", [one for run in runs for one in run.took], 5000, "latency"),
        *runs[-1].used.lines(),
    ]  # fmt: skip


def _run(path: Path, pods: int, steps: int) -> Run:
    with Fleet(path) as fleet:
        fleet.start(pods)
        with watched(fleet) as used:
            rate, took = asyncio.run(_all_clients(fleet.addresses, steps))
        return Run(rate, fleet.counts.completed, took, used)


async def _all_clients(addresses: list[str], steps: int) -> tuple[float, list[float]]:
    clients = [AsyncClient(addresses) for _ in range(CLIENTS)]
    sizes = [min(BATCH, steps - begin) for begin in range(0, steps, BATCH)]
    took: list[float] = []
    try:
        await asyncio.gather(*(client.stats() for client in clients))  # connects
        begun = time.monotonic()
        await asyncio.gather(*(_client(client, sizes, took) for client in clients))
        return steps / (time.monotonic() - begun), took
    finally:
        await asyncio.gather(*(client.close() for client in clients))


async def _client(client: AsyncClient, sizes: list[int], took: list[float]) -> None:
    """Takes the next request from those that are left, until none is."""
    while sizes:
        steps = [NewStep(NOOP, PAYLOAD)] * sizes.pop()
        begun = time.monotonic()
        submitted = await client.submit_steps(steps)
        await client.wait([one.step_id for one in submitted])
        took.append(1000 * (time.monotonic() - begun))


BENCH = Bench(measure, SIZES)
