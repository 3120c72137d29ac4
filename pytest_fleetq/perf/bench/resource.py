"""What pods use while steps come in at an even rate: processor time, memory, descriptors."""

import asyncio
import time
from pathlib import Path

from fleetq_server.bench.bench import Bench
from fleetq_server.bench.cycle import taped
from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.handlers import NOOP
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import play
from fleetq_server.bench.report import Line, Report, at_least, at_most
from fleetq_server.bench.seed import PAYLOAD, copy, fill
from fleetq_server.client import AsyncClient
from fleetq_server.model import NewStep
from pytest_fleetq.perf.bench.watched import watched

SIZES = Sizes(steps=6000, pods=3, duration=30.0)
REQUESTS_PER_SECOND = 20


def measure(plan: Plan) -> Report:
    empty, path = plan.directory / "empty.db", plan.directory / "fleet.db"
    fill(empty, 0, paused=False)
    requests = max(1, min(plan.steps, round(plan.duration * REQUESTS_PER_SECOND)))
    batch = -(-plan.steps // requests)
    plan.say("raw limit")
    raw = _raw_cpu(empty, path, plan.steps, batch)
    copy(empty, path)
    with Fleet(path) as fleet:
        fleet.start(plan.pods)
        with watched(fleet) as used:
            seconds = asyncio.run(_feed(fleet, plan, batch))
        completed = fleet.counts.completed
    lines = [
        Line("steps in and out", "steps/s", [plan.steps / seconds], target=at_least(4),
             metric="throughput_ops_per_sec"),
        Line("completed", "%", [100 * completed / plan.steps], target=at_least(100),
             metric="success_rate"),
        Line("processor time of a step", "ms", [1000 * used.cpu_seconds / plan.steps],
             [1000 * raw / plan.steps], metric="cpu_ms_per_step"),
        *used.lines(at_most(80)),
    ]  # fmt: skip
    return Report("resource", lines, problems(path), {"batch": batch, "payload": len(PAYLOAD)})


def _raw_cpu(empty: Path, path: Path, steps: int, batch: int) -> float:
    """Processor seconds of the same SQL."""
    tape = taped(copy(empty, path), steps, batch)
    copy(empty, path)
    begun = time.process_time()
    play(path, tape)
    return time.process_time() - begun


async def _feed(fleet: Fleet, plan: Plan, batch: int) -> float:
    """Seconds from the first submit to the last completion."""
    async with AsyncClient(fleet.addresses) as client:
        await client.stats()  # connects
        begun = time.monotonic()
        calls = []
        for first in range(0, plan.steps, batch):
            share = first / plan.steps
            plan.say(f"{first:,} of {plan.steps:,} steps", share)
            # At its time, however late the answers are.
            await asyncio.sleep(begun + share * plan.duration - time.monotonic())
            steps = [NewStep(NOOP, PAYLOAD)] * min(batch, plan.steps - first)
            calls.append(asyncio.create_task(client.submit_steps(steps)))
        await asyncio.gather(*calls)
        ended = await asyncio.to_thread(fleet.until_completed, plan.steps)
    return ended - begun


BENCH = Bench(measure, SIZES)
