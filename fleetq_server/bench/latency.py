"""An idle fleet: from the submit call to the handler's start, and what idling costs a pod."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from statistics import median, quantiles

import psutil

from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.handlers import STAMP
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import Player, recorded
from fleetq_server.bench.report import Line, Report, at_most
from fleetq_server.bench.seed import PAYLOAD, copy, fill
from fleetq_server.bench.writer import Writer, submission
from fleetq_server.client import AsyncClient, StepOutcome

SIZES = Sizes(duration=10.0)
PER_SECOND = 20
SETTLE_SECONDS = 1.0
WARM_UP = 100  # steps not measured: what a process does for the first time takes longer


def percentile(share: int, samples: Sequence[float]) -> float:
    return quantiles(samples, n=100, method="inclusive")[share - 1]


p99 = partial(percentile, 99)


def measure(plan: Plan) -> Report:
    empty, path = plan.directory / "empty.db", plan.directory / "fleet.db"
    fill(empty, 0, paused=False)
    rng = Random(plan.seed)
    plan.say("raw limit")
    limit = _raw(empty, plan.directory / "raw.db", plan.duration / 4, rng)
    idle, took = idle_and_latencies(copy(empty, path), plan, rng)
    plan.say("raw limit")
    limit += _raw(empty, plan.directory / "raw.db", plan.duration / 4, rng)
    lines = [
        Line("submit to start, p50", "ms", took, limit, at_most(3), median),
        Line("submit to start, p99", "ms", took, limit, at_most(10), p99),
        Line("an idle pod's time", "% of a core", idle, target=at_most(0.5), summary=max),
    ]
    return Report("latency", lines, problems(path), workload(plan))


def workload(plan: Plan) -> dict[str, object]:
    return {
        "pods": plan.pods,
        "per_second": PER_SECOND,
        "warm_up": WARM_UP,
        "payload": len(PAYLOAD),
    }


def idle_and_latencies(
    store: Path | str, plan: Plan, rng: Random
) -> tuple[list[float], list[float]]:
    """Percent of a core of each idle pod; milliseconds from each submit to its handler's start."""
    with Fleet(store) as fleet:
        pods = fleet.start(plan.pods, parallelism=10)
        time.sleep(SETTLE_SECONDS)
        plan.say("an idle pod's processor time")
        idle = _busy_percent([pod.pid for pod in pods], plan.duration)
        plan.say(f"{PER_SECOND} submits per second")
        return idle, asyncio.run(_latencies(fleet.addresses, plan.duration, rng))


async def _latencies(addresses: list[str], duration: float, rng: Random) -> list[float]:
    """Milliseconds from each call to its handler's start."""
    async with AsyncClient(addresses) as client:
        warm = [await client.submit_one(STAMP, PAYLOAD) for _ in range(WARM_UP)]
        await client.wait(warm, strict=True)
        calls: dict[str, float] = {}
        for pause in _pauses(duration, rng):
            await asyncio.sleep(pause)
            called = time.monotonic()
            calls[await client.submit_one(STAMP, PAYLOAD)] = called
        # Asked for afterwards, so that nothing but submits happens meanwhile.
        result = await client.wait(calls, strict=True)
        return [1000 * (_start(result[step_id]) - called) for step_id, called in calls.items()]


def _start(outcome: StepOutcome) -> float:
    assert isinstance(outcome.value, float)
    return outcome.value


def _raw(empty: Path, path: Path, duration: float, rng: Random) -> list[float]:
    """Milliseconds of one transaction that takes in a step and claims it."""
    pauses = _pauses(duration, rng)
    with recorded() as tape, Writer(copy(empty, path)) as writer:
        before = len(tape) + WARM_UP
        for number in range(WARM_UP + len(pauses)):
            writer.turn([submission(number, 1)], claim=1)
    took: list[float] = []
    with Player(copy(empty, path)) as player:
        player.play(tape[:before])
        for transaction, pause in zip(tape[before:], pauses, strict=True):
            time.sleep(pause)
            took.append(1000 * player.play([transaction]))
    return took


def _pauses(duration: float, rng: Random) -> list[float]:
    """Uneven, or they could keep step with one of the pod's own timers."""
    return [rng.uniform(0.5, 1.5) / PER_SECOND for _ in range(max(2, round(duration * PER_SECOND)))]


def _busy_percent(pids: Sequence[int], duration: float) -> list[float]:
    """Each process's processor time over a while, in percent of a core."""
    processes = [psutil.Process(pid) for pid in pids]
    begun, before = time.monotonic(), [_seconds(one) for one in processes]
    time.sleep(duration)
    after, took = [_seconds(one) for one in processes], time.monotonic() - begun
    return [100 * (end - start) / took for start, end in zip(before, after, strict=True)]


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
