"""Many callers of one client, each submitting one step at a time."""

import asyncio
import time
from pathlib import Path

from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.handlers import NOOP
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import Transaction, play, recorded
from fleetq_server.bench.report import Line, Report, at_least
from fleetq_server.bench.seed import PAYLOAD, copy, fill
from fleetq_server.bench.writer import Writer, submission
from fleetq_server.client import AsyncClient

SIZES = Sizes(duration=2.0, rounds=3)
CALLERS = 64
RAW_REQUESTS = 300


def measure(plan: Plan) -> Report:
    empty = plan.directory / "empty.db"
    fill(empty, 0, paused=False)
    path = plan.directory / "fleet.db"
    tape = _recorded(copy(empty, path))
    limit: list[float] = []
    rates: list[float] = []
    wrong: list[str] = []
    for number in range(plan.rounds):
        plan.say(f"round {number + 1} of {plan.rounds}", number / plan.rounds)
        limit.append(RAW_REQUESTS * CALLERS / play(copy(empty, path), tape))
        rates.append(_fleet(copy(empty, path), plan))
        wrong += problems(path)
    lines = [Line("single-step submits", "steps/s", rates, limit, at_least(5000))]
    about = {
        "callers": CALLERS,
        "batch": CALLERS,
        "payload": len(PAYLOAD),
        "seconds": plan.duration,
    }
    return Report("submits", lines, wrong, about)


def _recorded(path: Path) -> list[Transaction]:
    """Requests of a step from each caller, a transaction each."""
    with recorded() as tape, Writer(path) as writer:
        for number in range(RAW_REQUESTS):
            writer.turn([submission(number, CALLERS)])
    return tape


def _fleet(path: Path, plan: Plan) -> float:
    with Fleet(path) as fleet:
        fleet.start(plan.pods)
        return asyncio.run(_rate(fleet.addresses, plan.duration))


async def _rate(addresses: list[str], duration: float) -> float:
    async with AsyncClient(addresses) as client:
        await client.stats()  # connects
        begun = time.monotonic()
        done = await asyncio.gather(*(_call(client, begun + duration) for _ in range(CALLERS)))
        return sum(done) / (time.monotonic() - begun)


async def _call(client: AsyncClient, until: float) -> int:
    done = 0
    while time.monotonic() < until:
        await client.submit_one(NOOP, PAYLOAD)
        done += 1
    return done
