"""SIGKILL to a pod that holds steps: how long until they run elsewhere."""

import os
import signal
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

from fleetq_server.bench.fleet import Fleet, problems, wait_until
from fleetq_server.bench.handlers import HOLD, NOOP, STARTED, starts_file
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import Player, recorded
from fleetq_server.bench.report import Line, Report, at_least, at_most
from fleetq_server.bench.seed import PAYLOAD, copy, fill
from fleetq_server.bench.writer import Writer
from fleetq_server.cli.spawn import PodProcess
from fleetq_server.client import Client
from fleetq_server.store.base import Elect, Recover, Suspect

SIZES = Sizes(steps=500, pods=2, rounds=5)
MANY = 100_000  # as many as one pod may hold
SPARE = 10  # steps that there is room for besides
CLAIM_AT_MOST, RECOVER_AT_MOST = 1000, 2000  # per transaction, as a pod does
LOOK_SECONDS = 0.002


class Times(NamedTuple):
    """Milliseconds from the kill; what became of the steps; what it cost those who took over."""

    first: float
    all: float
    preserved: float  # percent of the steps
    growth: float  # MB of all pods left


class Case(NamedTuple):
    held: int
    leader: bool  # the pod that is killed leads the fleet


def measure(plan: Plan) -> Report:
    rng = Random(plan.seed)
    wrong: list[str] = []

    def run(case: Case, rounds: int) -> tuple[list[Times], list[float]]:
        times, limit = [], []
        for number in range(rounds):
            who = "the leader" if case.leader else "a pod"
            share = (case.leader + number / rounds) / 2
            plan.say(f"{who} holding {case.held} steps, round {number + 1} of {rounds}", share)
            directory = plan.directory / f"{case.held}-{case.leader}-{number}"
            directory.mkdir()
            limit.append(_raw(directory, case.held))
            times.append(_fleet(directory, case, plan.pods, rng, wrong))
        return times, limit

    found: list[Line] = []
    for case in (Case(plan.steps, False), Case(plan.steps, True)):
        found += lines(case, *run(case, plan.rounds), all_within=300, first_within=100)
    if plan.sizes == SIZES:
        found += lines(Case(MANY, False), *run(Case(MANY, False), 1), all_within=4000)
    about = {"pods_left": plan.pods, "rounds": plan.rounds, "summary": "worst"}
    return Report("recovery", found, wrong, about)


def lines(
    case: Case,
    times: list[Times],
    limit: list[float],
    *,
    all_within: float,
    first_within: float | None = None,
) -> list[Line]:
    what = f"{case.held:,} steps of {'the leader' if case.leader else 'a pod'}"
    first = [one.first for one in times]
    every = [one.all for one in times]
    target = None if first_within is None else at_most(first_within)
    name = _metric_of(case)
    return [
        Line(
            f"{what}: first again", "ms", first, target=target, summary=max,
            metric=f"{name}_first_ms",
        ),
        Line(
            f"{what}: all again", "ms", every, limit, at_most(all_within), max,
            metric=f"{name}_time_ms",
        ),
        Line(
            f"{what}: preserved", "%", [one.preserved for one in times], target=at_least(100),
            summary=min, metric=f"{name}_success_rate",
        ),
        Line(
            f"{what}: growth of those left", "MB", [one.growth for one in times],
            target=at_most(200), summary=max, metric=f"{name}_memory_growth_mb",
        ),
    ]  # fmt: skip


def _metric_of(case: Case) -> str:
    if case.held == MANY:
        return "recovery_of_many"
    return "leader_recovery" if case.leader else "recovery"


def _fleet(directory: Path, case: Case, others: int, rng: Random, wrong: list[str]) -> Times:
    path = directory / "fleet.db"
    fill(path, case.held, kind=HOLD, payload=str(directory).encode(), paused=False)
    times = kill_one(path, directory, case, others, rng)
    wrong += problems(path)
    return times


def kill_one(store: Path | str, directory: Path, case: Case, others: int, rng: Random) -> Times:
    """Of a fleet over a store whose steps write down their starts in the directory."""
    with Fleet(store) as fleet:
        if not case.leader:
            fleet.start(handlers=())  # the eldest leads, and this one takes no steps
        (victim,) = fleet.start(parallelism=case.held)
        _await_starts(directory, 1, case.held)
        fleet.start(others, parallelism=min(case.held + SPARE, MANY))
        # Until the new pods have looked around; then somewhere between two heartbeats.
        time.sleep(1.5 + rng.random())
        before = fleet.memory(without=[victim])
        killed = time.monotonic()
        _kill(fleet, victim)
        _await_starts(directory, 2, case.held)
        after = _starts_after(directory, killed)
        growth = fleet.memory() - before
        _await_more(fleet)
        fleet.pods.stop_all(0)  # the handlers never end by themselves
    return Times(min(after), max(after), 100 * len(after) / case.held, growth)


def _await_more(fleet: Fleet) -> None:
    """A fleet that is well again does new work."""
    with Client(fleet.addresses) as client:
        client.submit(NOOP, [PAYLOAD] * SPARE)
    fleet.until_completed(SPARE)


def _kill(fleet: Fleet, victim: PodProcess) -> None:
    os.kill(victim.pid, signal.SIGKILL)
    fleet.pods.kill(victim)


def _await_starts(directory: Path, attempt: int, steps: int) -> None:
    path = starts_file(str(directory), attempt)

    def started() -> int:
        return path.stat().st_size // STARTED.size if path.exists() else 0

    wait_until(
        lambda: started() >= steps,
        lambda: f"attempt {attempt} of {steps} steps: {started()} have started",
        look=LOOK_SECONDS,
    )


def _starts_after(directory: Path, killed: float) -> list[float]:
    """Of each step, milliseconds from the kill to its first start since."""
    data = starts_file(str(directory), 2).read_bytes()
    starts: dict[int, float] = {}
    for step_id, at in STARTED.iter_unpack(data[: len(data) // STARTED.size * STARTED.size]):
        starts.setdefault(step_id, at)
    return [1000 * (at - killed) for at in starts.values()]


def _raw(directory: Path, held: int) -> float:
    """Milliseconds for the same transactions: give back a batch, claim a batch, and so on."""
    base, path = directory / "base.db", directory / "raw.db"
    fill(base, held, kind=HOLD, paused=False)
    with recorded() as tape:
        with Writer(copy(base, path), holder_id="1" * 32) as dead:
            while dead.turn(claim=CLAIM_AT_MOST):
                dead.keep()
        with Writer(path) as heir:
            heir.turn([Elect(heir.key, 0, (Suspect(dead.key),))])
            before = len(tape)
            for _ in range(0, held, RECOVER_AT_MOST):
                heir.turn([Recover(heir.key, 1, (), RECOVER_AT_MOST)], claim=CLAIM_AT_MOST)
                heir.keep()
            while heir.turn(claim=CLAIM_AT_MOST):
                heir.keep()
    with Player(copy(base, path)) as player:
        player.play(tape[:before])
        return 1000 * player.play(tape[before:])
