"""Steps submitted and claimed from outside: a client and a worker for each pod, calls timed."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.handlers import NOOP
from fleetq_server.bench.plan import Plan
from fleetq_server.bench.raw import play, recorded
from fleetq_server.bench.report import Line, at_least, at_most, latencies
from fleetq_server.bench.seed import PAYLOAD, copy, fill
from fleetq_server.bench.writer import Writer
from fleetq_server.client import AsyncClient
from fleetq_server.model import Claim, Completion, NewStep, StepId

MOST_STEPS = 5000
BATCH = 10  # steps per request, and per claim
BEAT_SECONDS = 1.0

Answer = TypeVar("Answer")


@dataclass
class Seen:
    """By all clients together; times in milliseconds."""

    submits: list[float] = field(default_factory=list)
    claims: list[float] = field(default_factory=list)
    step_ids: list[StepId] = field(default_factory=list)
    submit_seconds: float = 0.0
    claim_seconds: float = 0.0
    memory: float = 0.0  # MB of all pods


def claimed_by_workers(plan: Plan) -> tuple[list[Line], list[str]]:
    """What a round of it looks like from outside, and what is wrong with it."""
    steps = min(plan.steps, MOST_STEPS)
    path = plan.directory / "workers.db"
    plan.say("raw limit of workers")
    limit = steps / _raw_seconds(plan.directory, steps)
    fill(path, 0, paused=False)
    plan.say(f"{plan.pods} workers")
    with Fleet(path) as fleet:
        fleet.start(plan.pods, handlers=())
        seen = asyncio.run(_watch(fleet, steps))
    return _lines(seen, steps, limit), problems(path) + doubles(seen.step_ids, steps)


def doubles(claimed: Sequence[StepId], steps: int) -> list[str]:
    """What claims may not be: two of one step, or none of one."""
    wrong = [f"step {step} was claimed {n} times" for step, n in Counter(claimed).items() if n > 1]
    found = len(set(claimed))
    return wrong if found == steps else [*wrong, f"{found} of {steps} steps were claimed"]


def _lines(seen: Seen, steps: int, limit: float) -> list[Line]:
    return [
        Line(
            "submitted by clients", "steps/s", [steps / seen.submit_seconds],
            target=at_least(10), metric="submission_throughput_ops_per_sec",
        ),
        Line("a submit, p50", "ms", seen.submits, summary=median, metric="p50_submit_ms"),
        Line(
            "claimed and completed by workers", "steps/s", [steps / seen.claim_seconds],
            [limit], at_least(8), metric="claiming_throughput_ops_per_sec",
        ),
        *latencies("a claim", seen.claims, 5000, "latency"),
        Line(
            "memory of the pods meanwhile", "MB", [seen.memory], target=at_most(500),
            metric="memory_usage_mb",
        ),
    ]  # fmt: skip


def _raw_seconds(directory: Path, steps: int) -> float:
    """Each claim a transaction, with the completions of the one before."""
    backlog, path = directory / "few.db", directory / "raw.db"
    fill(backlog, steps, paused=False)
    with recorded() as tape, Writer(copy(backlog, path)) as writer:
        while writer.turn(claim=BATCH):
            pass
    return play(copy(backlog, path), tape)


async def _watch(fleet: Fleet, steps: int) -> Seen:
    seen = Seen()
    clients = [AsyncClient(address) for address in fleet.addresses]
    try:
        await asyncio.gather(*(client.stats() for client in clients))  # connects
        share = [steps // len(clients) + (n < steps % len(clients)) for n in range(len(clients))]
        begun = time.monotonic()
        await asyncio.gather(*map(_submit, clients, share, [seen.submits] * len(clients)))
        seen.submit_seconds = time.monotonic() - begun
        seen.memory = fleet.memory()
        begun = time.monotonic()
        await asyncio.gather(*(_work(client, seen) for client in clients))
        seen.claim_seconds = time.monotonic() - begun
        seen.memory = max(seen.memory, fleet.memory())
    finally:
        await asyncio.gather(*(client.close() for client in clients))
    return seen


async def _submit(client: AsyncClient, steps: int, took: list[float]) -> None:
    for begin in range(0, steps, BATCH):
        batch = [NewStep(NOOP, PAYLOAD)] * min(BATCH, steps - begin)
        await _timed(client.submit_steps(batch), took)


async def _work(client: AsyncClient, seen: Seen) -> None:
    """Claims and completes until nothing is left."""
    holder_id = secrets.token_hex(16)
    beats = asyncio.create_task(_beat(client, holder_id))
    try:
        while claims := await _timed(_claim(client, holder_id), seen.claims):
            seen.step_ids += [claim.step_id for claim in claims]
            await client.complete_steps([Completion(one.step_id, one.fence) for one in claims])
    finally:
        beats.cancel()
        await asyncio.gather(beats, return_exceptions=True)


async def _claim(client: AsyncClient, holder_id: str) -> list[Claim]:
    grant = await client.claim_steps(holder_id, kinds=[NOOP], limit=BATCH)
    return grant.claims


async def _beat(client: AsyncClient, holder_id: str) -> None:
    while True:
        await client.beat(holder_id)
        await asyncio.sleep(BEAT_SECONDS)


async def _timed(call: Awaitable[Answer], took: list[float]) -> Answer:
    begun = time.perf_counter()
    answer = await call
    took.append(1000 * (time.perf_counter() - begun))
    return answer
