"""Claims in a store of millions of steps, beside claims in a small one of the same mix.

Straight through the store, as a pod's writer uses it: whatever a pod adds is the same on both
sides, and would hide a difference.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from fleetq_server.bench.fleet import BenchError, problems
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import Player, Transaction, recorded
from fleetq_server.bench.report import Line, Report, at_least
from fleetq_server.bench.seed import Mix, copy, fill
from fleetq_server.bench.writer import Writer

SIZES = Sizes(steps=5_000_000, rounds=15)
SMALL = 10_000
MIX = Mix(finished=50, scheduled=20)
BATCH = 100
WARM_UP, TURNS = 4, 24  # transactions per round, for which the small store has enough steps


def measure(plan: Plan) -> Report:
    plan.say(f"making {plan.steps:,} steps")
    few, many = plan.directory / "few.db", plan.directory / "many.db"
    fill(few, SMALL, mix=MIX, paused=False, seed=plan.seed)
    fill(many, plan.steps, mix=MIX, paused=False, seed=plan.seed)
    plan.say("recording the raw limit")
    spare, raw = plan.directory / "few-live.db", plan.directory / "many-raw.db"
    (few_tape,) = _recorded(copy(few, spare), 1)
    many_tapes = _recorded(copy(many, raw), plan.rounds)
    copy(many, raw)
    rates: dict[str, list[float]] = {name: [] for name in ("few", "many", "few raw", "many raw")}
    with Writer(many) as writer, Player(raw) as player:
        for number, many_tape in enumerate(many_tapes):
            plan.say(f"round {number + 1} of {plan.rounds}", number / plan.rounds)
            with Player(copy(few, spare)) as few_player:
                rates["few raw"].append(_raw(few_player, few_tape))
            rates["many raw"].append(_raw(player, many_tape))
            with Writer(copy(few, spare)) as few_writer:
                rates["few"].append(live(few_writer))
            rates["many"].append(live(writer))
    plan.say("counting all steps")
    return _report(plan, rates, problems(many) + problems(spare))


def _report(plan: Plan, rates: dict[str, list[float]], wrong: list[str]) -> Report:
    share = [many / few for many, few in zip(rates["many"], rates["few"], strict=True)]
    raw = [many / few for many, few in zip(rates["many raw"], rates["few raw"], strict=True)]
    lines = [
        Line(f"claims among {SMALL:,} steps", "steps/s", rates["few"], rates["few raw"]),
        Line(f"claims among {plan.steps:,} steps", "steps/s", rates["many"], rates["many raw"]),
        Line("among many / among few", "", share, raw, at_least(0.9)),
    ]
    about = {"finished_percent": MIX.finished, "scheduled_percent": MIX.scheduled, "batch": BATCH}
    return Report("backlog", lines, wrong, about)


def _recorded(path: Path, rounds: int) -> list[Sequence[Transaction]]:
    """The transactions of each round."""
    with recorded() as tape, Writer(path) as writer:
        joined = len(tape)
        for _ in range(rounds * (WARM_UP + TURNS)):
            _turn(writer)
    begins = range(joined, len(tape), WARM_UP + TURNS)
    each = [tape[begin : begin + WARM_UP + TURNS] for begin in begins]
    return [[*tape[:joined], *each[0]], *each[1:]]


def live(writer: Writer) -> float:
    """Steps per second that are claimed and completed."""
    for _ in range(WARM_UP):
        _turn(writer)
    begun = time.perf_counter()
    for _ in range(TURNS):
        _turn(writer)
    return TURNS * BATCH / (time.perf_counter() - begun)


def _raw(player: Player, tape: Sequence[Transaction]) -> float:
    player.play(tape[:-TURNS])
    return TURNS * BATCH / player.play(tape[-TURNS:])


def _turn(writer: Writer) -> None:
    if writer.turn(claim=BATCH) < BATCH:
        raise BenchError("too few steps are pending: give more --steps or fewer --rounds")
