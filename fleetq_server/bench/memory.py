"""A pod's resident memory while steps pass through it."""

import asyncio

import psutil

from fleetq_server.bench.cycle import feed
from fleetq_server.bench.fleet import MEGABYTE, Fleet, problems
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.report import Line, Report, at_most
from fleetq_server.bench.seed import fill
from fleetq_server.client import AsyncClient

SIZES = Sizes(steps=100_000)
SAMPLES = 20
PARALLELISM = 100


def measure(plan: Plan) -> Report:
    path = plan.directory / "fleet.db"
    fill(path, 0, paused=False)
    with Fleet(path) as fleet:
        fleet.start(1)
        sizes = asyncio.run(_sizes(fleet, plan))
    half = sizes[SAMPLES // 2]
    lines = [
        Line(f"after {plan.steps:,} steps", "MB", [sizes[-1]], target=at_most(90)),
        Line("largest seen", "MB", sizes, target=at_most(90), summary=max),
        Line("growth over the second half", "MB", [sizes[-1] - half], target=at_most(2)),
    ]
    return Report("memory", lines, problems(path), {"parallelism": PARALLELISM})


async def _sizes(fleet: Fleet, plan: Plan) -> list[float]:
    """Megabytes before the first step, and after each twentieth of them."""
    process = psutil.Process(fleet.pods.running[0].pid)
    sizes = [process.memory_info().rss / MEGABYTE]
    share = max(1, plan.steps // SAMPLES)
    async with AsyncClient(fleet.addresses) as client:
        for passed in range(share, SAMPLES * share + 1, share):
            plan.say(f"{passed:,} of {plan.steps:,} steps", passed / plan.steps)
            await feed(client, share)
            # Nothing of this loop's is under way that this could block.
            fleet.until_completed(passed)
            sizes.append(process.memory_info().rss / MEGABYTE)
    return sizes
