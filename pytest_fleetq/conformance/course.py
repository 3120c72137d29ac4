"""All trials of one worker, some at a time."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence

from pytest_fleetq.conformance import leaving, losing, working
from pytest_fleetq.conformance.rules import RULES, Finding
from pytest_fleetq.conformance.stage import Stage
from pytest_fleetq.conformance.trial import Trial

# The longest first.
TRIALS = (*losing.TRIALS, *leaving.TRIALS, *working.TRIALS)


async def findings(
    address: str,
    command: Sequence[str],
    *,
    kind: str,
    rules: Collection[str],
    jobs: int,
    patience: float,
) -> AsyncGenerator[Finding, None]:
    """What comes to light of these rules, as it does.

    Args:
        address: host:port of a pod.
        command: The worker's; {address} stands for where it has to go.
        kind: Of the steps it is given.
        rules: Names, of RULES.
        jobs: How many workers run at a time.
        patience: Seconds to wait for what the protocol sets no time for.
    """
    room = asyncio.Semaphore(jobs)

    async def run(trial: Trial) -> list[Finding]:
        async with room:
            return await trial.run(Stage(address, command, kind=kind, patience=patience))

    chosen = [trial for trial in TRIALS if not set(trial.rules).isdisjoint(rules)]
    tasks = [asyncio.create_task(run(trial)) for trial in chosen]
    try:
        for done in asyncio.as_completed(tasks):
            for finding in await done:
                if finding.rule in rules:
                    yield finding
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def in_order(found: Collection[Finding]) -> list[Finding]:
    order = list(RULES)
    return sorted(found, key=lambda finding: order.index(finding.rule))
