"""Many pods that write as fast as they can: does each get its turn?"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from fleetq_server.bench.claiming import PARALLELISM, drained
from fleetq_server.bench.fleet import Fleet, problems
from fleetq_server.bench.latency import p99
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.raw import play
from fleetq_server.bench.report import Line, Report, at_least, at_most
from fleetq_server.bench.seed import copy, fill
from fleetq_server.store.sqlite import SqliteReader

SIZES = Sizes(steps=300_000, pods=8, duration=5.0)
RAW_SHARE = 8  # of the backlog, for the raw limit
EVENTS_AT_ONCE = 1000
LOOK_SECONDS = 0.05


class Turn(NamedTuple):
    """One transaction in which a pod claimed steps."""

    at: float
    steps: int


class Window(NamedTuple):
    begun: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


def measure(plan: Plan) -> Report:
    small, spare = plan.directory / "small.db", plan.directory / "raw.db"
    path = plan.directory / "fleet.db"
    some = max(1, plan.steps // RAW_SHARE)
    fill(small, some)
    plan.say("raw limit")
    tape = drained(copy(small, spare))
    limit = some / play(copy(small, spare), tape)
    fill(path, plan.steps)
    plan.say(f"{plan.pods} pods")
    pods, window = _run(path, plan)
    turns = _turns(path, window)
    served = [sum(turn.steps for turn in turns[pod]) for pod in pods]
    waits = [1000 * wait for pod in pods for wait in _waits(turns[pod], window)]
    rate = sum(served) / window.seconds
    lines = [
        Line("least / most served pod", "", [min(served) / max(served)], target=at_least(0.5)),
        Line("from turn to turn, p99", "ms", waits, target=at_most(250), summary=p99),
        Line("from turn to turn, longest", "ms", waits, target=at_most(1000), summary=max),
        Line(f"{plan.pods} pods together", "steps/s", [rate], [limit]),
    ]
    found = {"seconds_measured": round(window.seconds, 2), "served": served}
    return Report("fairness", lines, problems(path), {"parallelism": PARALLELISM}, found)


def _run(path: Path, plan: Plan) -> tuple[list[str], Window]:
    """Lets pods loose on the backlog for a while, or until nothing of it is left."""
    with Fleet(path) as fleet:
        pods = fleet.start(plan.pods, parallelism=PARALLELISM)
        begun = time.time()
        fleet.let_go()
        while time.time() < begun + plan.duration and fleet.counts.pending:
            time.sleep(LOOK_SECONDS)
        ended = time.time()
    return [pod.pod_id for pod in pods], Window(begun, ended)


def _turns(path: Path, window: Window) -> Mapping[str, list[Turn]]:
    """The turns of each pod, from the events that every claim leaves behind."""
    turns: defaultdict[str, list[Turn]] = defaultdict(list)
    reader = SqliteReader(path)
    seen = 0
    while events := reader.events(seen, EVENTS_AT_ONCE):
        seen = events[-1].seq
        for event in events:
            if event.type == "claimed" and event.holder and event.at <= window.ended:
                turns[event.holder].append(Turn(event.at, len(event.step_ids)))
    reader.close()
    return turns


def _waits(turns: Sequence[Turn], window: Window) -> list[float]:
    """From each turn to the next, which is no less than the wait for it; a pod that got none
    waited all the time."""
    times = [window.begun, *(turn.at for turn in turns), window.ended]
    return [later - earlier for earlier, later in pairwise(times)]
