"""Claims in a store of millions of steps, beside claims in a small one of the same mix.

Straight through the store, as a pod's writer uses it: whatever a pod adds is the same on both
sides, and would hide a difference.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fleetq_server.bench.fleet import BenchError, problems
from fleetq_server.bench.handlers import KINDS
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import Raw
from fleetq_server.bench.report import Line, Report, at_least
from fleetq_server.bench.seed import Mix, copy, fill
from fleetq_server.model import Claim, Completion, HolderKey, HolderType, NewHolder
from fleetq_server.store.base import ClaimSteps, Complete, Register
from fleetq_server.store.sqlite import SqliteStore

SIZES = Sizes(steps=5_000_000, rounds=15)
SMALL = 10_000
MIX = Mix(finished=50, scheduled=20)
BATCH = 100
WARM_UP, TURNS = 4, 24  # per round; the small store's pending steps are enough for these


class Writer:
    """Claims and completes, one transaction for both, as a pod's writer thread does."""

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path)
        register = Register(NewHolder("1" * 32, HolderType.POD, "", "", 0, "", BATCH))
        (key,) = self.store.apply([register]).answers
        assert isinstance(key, int)
        self._key = HolderKey(key)
        self._claims: list[Claim] = []

    def wanted(self) -> ClaimSteps:
        return ClaimSteps(self._key, BATCH, KINDS)

    def granted(self, claims: list[Claim]) -> None:
        self._claims = claims

    def deliver(self, claims: list[Claim]) -> None:
        raise NotImplementedError

    def turn(self) -> int:
        done = [Completion(claim.step_id, claim.fence) for claim in self._claims]
        self._claims = []
        self.store.apply([Complete(done)] if done else [], [self])
        self.store.maintain()
        return len(self._claims)


def measure(plan: Plan) -> Report:
    big, small = plan.directory / "big.db", plan.directory / "small.db"
    plan.say(f"making {plan.steps:,} steps")
    fill(big, plan.steps, mix=MIX, paused=False, seed=plan.seed)
    fill(small, SMALL, mix=MIX, paused=False, seed=plan.seed)
    rates: dict[str, list[float]] = {name: [] for name in ("big", "small", "raw big", "raw small")}
    writer = Writer(big)
    with Raw(big) as raw:
        for number in range(plan.rounds):
            plan.say(f"round {number + 1} of {plan.rounds}")
            few = Writer(copy(small, plan.directory / "few.db"))
            rates["small"].append(_rate(few.turn))
            few.store.close()
            rates["big"].append(_rate(writer.turn))
            with Raw(copy(small, plan.directory / "few.db")) as raw_few:
                rates["raw small"].append(_rate(partial(raw_few.turn, claim=BATCH)))
            rates["raw big"].append(_rate(partial(raw.turn, claim=BATCH)))
    writer.store.close()
    plan.say("counting all steps")
    wrong = problems(big) + problems(plan.directory / "few.db")
    share = [b / s for b, s in zip(rates["big"], rates["small"], strict=True)]
    raw_share = [b / s for b, s in zip(rates["raw big"], rates["raw small"], strict=True)]
    lines = [
        Line(f"claims among {SMALL:,} steps", "steps/s", rates["small"], rates["raw small"]),
        Line(f"claims among {plan.steps:,} steps", "steps/s", rates["big"], rates["raw big"]),
        Line("many / few", "", share, raw_share, at_least(0.9)),
    ]
    about = {"finished_percent": MIX.finished, "scheduled_percent": MIX.scheduled, "batch": BATCH}
    return Report("backlog", lines, wrong, about)


def _rate(turn: Callable[[], int]) -> float:
    """Steps per second that are claimed and completed."""
    for _ in range(WARM_UP):
        turn()
    begun = time.perf_counter()
    steps = sum(turn() for _ in range(TURNS))
    if steps < TURNS * BATCH:
        raise BenchError(
            "the store has too few pending steps: give more --steps, or fewer --rounds"
        )
    return steps / (time.perf_counter() - begun)
