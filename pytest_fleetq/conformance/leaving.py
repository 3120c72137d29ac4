"""Trials in which the worker ends, in good order or not."""

import time
from collections.abc import Awaitable, Callable

from fleetq_server.model import StepState
from pytest_fleetq.conformance.stage import START, Stage, seconds
from pytest_fleetq.conformance.trial import Judge, Trial

WORK = 1.0  # seconds of what runs when it is told to end
REACTS = 2.0  # seconds


async def by_signal(stage: Stage, judge: Judge) -> None:
    async def ask(_holder: str) -> None:
        stage.subject.terminate()

    await _drained(stage, judge, "drain-signal", ask)


async def by_fleet(stage: Stage, judge: Judge) -> None:
    await _drained(stage, judge, "drain-fleet", stage.client.drain)


async def _drained(
    stage: Stage, judge: Judge, rule: str, ask: Callable[[str], Awaitable[None]]
) -> None:
    await stage.open()
    step = await stage.submit({"seconds": WORK})
    claimed = await stage.claimed(step)
    await ask(str(claimed.request.holder_id))
    told = time.monotonic() + REACTS + 2 * stage.interval
    code = await stage.subject.exited(WORK + stage.interval + stage.patience)
    judge.expect(rule, code == 0, f"exited with {code}")
    late = stage.traffic.of("ClaimSteps", since=told)
    if any(seconds(call.request.wait) > 0 for call in late):
        judge.found[rule] = "went on claiming"
    found = await stage.client.get(step)
    if found.state is StepState.CLAIMED or found.crashes:
        judge.found[rule] = "left a step claimed"


async def killed(stage: Stage, judge: Judge) -> None:
    await stage.open()
    step = await stage.submit({"seconds": WORK})
    before = await stage.claimed(step)
    await stage.subject.kill()
    since = time.monotonic()
    await stage.subject.start()
    after = await stage.call(
        lambda call: call.rpc == "ClaimSteps" and call.begun >= since, "claims nothing", START
    )
    another = after.request.holder_id != before.request.holder_id
    judge.expect("new-holder", another, "the same after a restart")
    if another:
        await stage.ended(step, stage.threshold + WORK)


TRIALS = (
    Trial(("new-holder",), killed),
    Trial(("drain-signal",), by_signal),
    Trial(("drain-fleet",), by_fleet),
)
