"""Trials in which the worker loses what it claimed."""

import asyncio
import time

from fleetq_server.model import StepState
from pytest_fleetq.conformance.proxy import pass_on
from pytest_fleetq.conformance.stage import Stage, token_of, until
from pytest_fleetq.conformance.traffic import Call
from pytest_fleetq.conformance.trial import Judge, Trial

HEARD = 1.0  # seconds from an answer to the end of a handler
FAST = 20  # calls a second
DEAD = ("dead", "gone")


async def cancelled(stage: Stage, judge: Judge) -> None:
    await stage.open()
    limit = 3 * stage.interval + stage.patience
    step = await stage.submit({"seconds": 3 * limit})
    await stage.claimed(step)
    await stage.client.cancel([step])
    found = await stage.step_until(step, lambda seen: seen.state is not StepState.CLAIMED, limit)
    judge.expect(
        "cancel",
        found.state is StepState.CANCELLED,
        f"the step was still {found.state} {limit:.0f} s after it was cancelled",
    )


async def claim_lost(stage: Stage, judge: Judge) -> None:
    """The claim is given back behind the worker's back; the same worker may get it anew."""
    await stage.open()
    work = 3 * stage.interval + 2 * HEARD
    step = await stage.submit({"seconds": work})
    claimed = await stage.claimed(step)
    token = token_of(claimed, step)
    assert token is not None
    over = time.monotonic() + work
    await stage.give_back(token)
    told = await stage.traffic.find(lambda call: _tells_of(call, token), over - time.monotonic())
    if told is None or told.answered is None:
        judge.broken("lost-claim", "its heartbeats do not name the claim, so it cannot learn of it")
        return
    await until(over + HEARD)
    late = stage.traffic.reports(token, told.answered + HEARD)
    judge.expect("lost-claim", not late, "reported an outcome after it was told that it lost it")
    found = await stage.ended(step, work)
    judge.expect("lost-claim", found.state is StepState.COMPLETED, "the next claim was not run")


def _tells_of(call: Call, token: bytes) -> bool:
    """Whether this heartbeat was told that the claim is lost."""
    if call.rpc != "Beat" or not call.ok or token not in call.tokens():
        return False
    outcome = call.answer.outcomes[call.tokens().index(token)]
    return bool(outcome.reason)


async def timed_out(stage: Stage, judge: Judge) -> None:
    await stage.open()
    limit = 0.5
    work = limit + 3 * stage.interval + HEARD
    step = await stage.submit({"seconds": work}, timeout=limit)
    claimed = await stage.claimed(step)
    token = token_of(claimed, step)
    assert token is not None
    await until(time.monotonic() + work + HEARD)
    late = [call for call in stage.traffic.reports(token) if call.rpc == "CompleteSteps"]
    judge.expect("timeout", not late, f"completed work of {work:.1f} s in spite of its timeout")


async def cut_off(stage: Stage, judge: Judge) -> None:
    await stage.open()
    step = await stage.submit({"seconds": 1.5 * stage.threshold})
    claimed = await stage.claimed(step)
    token = token_of(claimed, step)
    assert token is not None
    over = time.monotonic() + 1.5 * stage.threshold
    since = time.monotonic()
    beat = await stage.call(
        lambda call: call.rpc == "Beat" and call.ok and call.begun >= since,
        "sends no heartbeats",
        stage.threshold,
    )
    stage.proxy.cut()
    cut_at = time.monotonic()
    await _await_death(stage, str(beat.request.holder_id))
    await until(max(over, cut_at + 1.5 * stage.threshold) + HEARD)
    _judge_silence(stage, judge, token, _last_beat(stage, cut_at), cut_at)
    await _judge_return(stage, judge, step, str(beat.request.holder_id))


def _last_beat(stage: Stage, before: float) -> float:
    """When the last answered heartbeat was sent."""
    return max(call.begun for call in stage.traffic.of("Beat") if call.ok and call.begun < before)


async def _await_death(stage: Stage, holder: str) -> None:
    """It may be taken for dead now; until it is, coming back as itself is right."""
    deadline = time.monotonic() + stage.threshold + stage.patience
    while time.monotonic() < deadline:
        pods = await stage.client.pods(include_ended=True)
        if any(pod.pod_id == holder and pod.status in DEAD for pod in pods):
            return
        await asyncio.sleep(stage.interval)


def _judge_silence(
    stage: Stage, judge: Judge, token: bytes, last_beat: float, cut_at: float
) -> None:
    late = stage.traffic.reports(token, last_beat + stage.threshold)
    judge.expect(
        "fence",
        not late,
        f"reported an outcome more than {stage.threshold:g} s after its last answered heartbeat",
    )
    begun = sorted(call.begun for call in stage.traffic.calls if call.begun >= cut_at)
    crowded = [at for at, later in zip(begun, begun[FAST:], strict=False) if later - at < 1]
    judge.expect("backoff", not crowded, f"more than {FAST} calls within a second")


async def _judge_return(stage: Stage, judge: Judge, step: str, holder: str) -> None:
    stage.proxy.meddle = pass_on
    back = time.monotonic()
    claimed = await stage.traffic.find(
        lambda call: call.begun >= back and token_of(call, step) is not None, stage.patience
    )
    if claimed is None:
        judge.broken("begins-anew", f"claimed nothing within {stage.patience:g} s of coming back")
        return
    judge.expect(
        "begins-anew",
        claimed.request.holder_id != holder,
        "went on under the holder_id that was declared dead",
    )


TRIALS = (
    Trial(("fence", "backoff", "begins-anew"), cut_off),
    Trial(("cancel",), cancelled),
    Trial(("lost-claim",), claim_lost),
    Trial(("timeout",), timed_out),
)
