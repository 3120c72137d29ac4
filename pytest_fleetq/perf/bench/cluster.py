"""How long a test waits for its pods: forked, beside the same pods as plain subprocesses."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from fleetq_server.bench.bench import Bench
from fleetq_server.bench.plan import Plan, Sizes
from fleetq_server.bench.report import Line, Report, Target, at_most
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.request import make_request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.perf.bench.plain import PlainPods

FEW = 3
SIZES = Sizes(pods=50, rounds=5)
PLAIN_AT_MOST = 16  # more of them at once, and a round takes longer than all the others together
READY_SECONDS = 60.0


class Times(NamedTuple):
    """Milliseconds."""

    ready: float
    ended: float


def measure(plan: Plan) -> Report:
    wrong: list[str] = []
    with closing(Session(plan.directory)) as session:
        plan.say("the first pod")
        first = _forked(session, 1, wrong)
        few, few_plain, many = [], [], []
        for number in range(plan.rounds):
            share = number / plan.rounds
            plan.say(f"{FEW} and {plan.pods} pods, round {number + 1} of {plan.rounds}", share)
            few.append(_forked(session, FEW, wrong))
            few_plain.append(_plain(session, FEW))
            many.append(_forked(session, plan.pods, wrong))
        plain = []
        if plan.pods <= PLAIN_AT_MOST or plan.sizes == SIZES:
            plan.say(f"{plan.pods} plain subprocesses")
            plain.append(_plain(session, plan.pods))
    within = at_most(2000) if plan.pods == SIZES.pods else None
    found = [
        Line("the first pod of all", "ms", [first.ready]),
        *lines(FEW, few, few_plain, at_most(200), at_most(150)),
        *lines(plan.pods, many, plain, within, None),
    ]
    about = {"pods": plan.pods, "rounds": plan.rounds, "raw": "plain subprocesses"}
    return Report("cluster", found, wrong, about)


def lines(
    pods: int, times: list[Times], plain: list[Times], ready: Target | None, ended: Target | None
) -> list[Line]:
    return [
        Line(f"{pods} pods ready", "ms", [one.ready for one in times],
             [one.ready for one in plain], ready),
        Line(f"{pods} pods ended", "ms", [one.ended for one in times],
             [one.ended for one in plain], ended),
    ]  # fmt: skip


def _forked(session: Session, pods: int, wrong: list[str]) -> Times:
    fleet = Fleet(session, make_request(pods), timeout=READY_SECONDS)
    try:
        ready = _milliseconds(fleet.start)
        if (live := len(fleet.client.pods())) != pods:
            wrong.append(f"{live} of {pods} pods had joined when all were said to be ready")
    finally:
        ended = _milliseconds(fleet.close)
    return Times(ready, ended)


def _plain(session: Session, pods: int) -> Times:
    with PlainPods(session.make_directory("plain")) as plain:
        ready = _milliseconds(lambda: plain.start(pods))
        return Times(ready, _milliseconds(plain.stop))


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


BENCH = Bench(measure, SIZES)
