"""A step's whole way: submitted over gRPC, claimed, run, completed."""

import asyncio
import itertools
import secrets
import time
from pathlib import Path

from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.handlers import NOOP
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import Transaction, play, recorded
from fleetq_server.bench.report import Line, Report, at_least_of_raw
from fleetq_server.bench.seed import PAYLOAD, copy, fill
from fleetq_server.bench.writer import Writer, submission
from fleetq_server.client import AsyncClient
from fleetq_server.model import NewStep

SIZES = Sizes(steps=50_000, rounds=5)
BATCH = 100  # steps per request
IN_FLIGHT = 8  # requests


def measure(plan: Plan) -> Report:
    empty = plan.directory / "empty.db"
    fill(empty, 0, paused=False)
    path = plan.directory / "fleet.db"
    tape = taped(copy(empty, path), plan.steps)
    limit: list[float] = []
    rates: list[float] = []
    wrong: list[str] = []
    for number in range(plan.rounds):
        plan.say(f"round {number + 1} of {plan.rounds}: raw limit", number / plan.rounds)
        limit.append(plan.steps / play(copy(empty, path), tape))
        share = (number + 0.5) / plan.rounds
        plan.say(f"round {number + 1} of {plan.rounds}: one client, {plan.pods} pods", share)
        rates.append(through(copy(empty, path), plan))
        wrong += problems(path)
    lines = [Line("submit to completion", "steps/s", rates, limit, at_least_of_raw(0.4))]
    about = {"steps": plan.steps, "batch": BATCH, "in_flight": IN_FLIGHT, "payload": len(PAYLOAD)}
    return Report("cycle", lines, wrong, about)


def taped(path: Path, steps: int, batch: int = BATCH) -> list[Transaction]:
    """Each transaction takes in a request, claims its steps, and completes those of the last."""
    with recorded() as tape, Writer(path) as writer:
        for begin in range(0, steps, batch):
            writer.turn([submission(begin, min(batch, steps - begin))], claim=batch)
        writer.turn()
    return tape


def through(store: Path | str, plan: Plan) -> float:
    """Steps per second."""
    with Fleet(store) as fleet:
        fleet.start(plan.pods)
        begun = time.monotonic()
        asyncio.run(_feed(fleet.addresses, plan.steps))
        ended = fleet.until_completed(plan.steps)
    return plan.steps / (ended - begun)


async def _feed(addresses: list[str], steps: int) -> None:
    async with AsyncClient(addresses) as client:
        await feed(client, steps)


async def feed(client: AsyncClient, steps: int) -> None:
    """Submits steps in requests of BATCH, IN_FLIGHT of them on their way at any time."""
    batch = [NewStep(NOOP, PAYLOAD)] * BATCH
    numbers = itertools.count()
    name = secrets.token_hex(8)

    async def submit() -> None:
        while (begin := next(numbers) * BATCH) < steps:
            # A request of its own, which without an id would travel together with others.
            await client.submit_steps(batch[: steps - begin], request_id=f"{name}-{begin}")

    await asyncio.gather(*(submit() for _ in range(IN_FLIGHT)))
