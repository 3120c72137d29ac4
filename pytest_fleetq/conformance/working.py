"""Trials of a worker that is left in peace, or nearly so."""

import asyncio
from typing import Any

import grpc

from fleetq_server.model import StepState
from pytest_fleetq.conformance.proxy import Forward, Refusal
from pytest_fleetq.conformance.rules import Trouble
from pytest_fleetq.conformance.stage import Stage, seconds, token_of
from pytest_fleetq.conformance.traffic import Call, parse_answer
from pytest_fleetq.conformance.trial import Judge, Trial

IDLE = 2.0  # seconds of doing nothing
MOST_CLAIMS = 3  # in that time
ERROR = "NotToday"
OVERLOAD = 2.0  # seconds
EARLY = 0.9  # of a delay: clocks and the way there


async def basics(stage: Stage, judge: Judge) -> None:
    await stage.open()
    good, bad = await stage.submit({"n": 1}), await stage.submit({"fail": ERROR})
    found = await stage.ended(good)
    given = (found.state, found.result.data if found.result else b"")
    judge.expect(
        "completes",
        found.state is StepState.COMPLETED and b'"n"' in given[1].replace(b" ", b""),
        f"the step is {given[0]} with result {given[1][:50]!r}",
    )
    failed = await stage.ended(bad)
    judge.expect(
        "fails",
        (failed.state, failed.error) == (StepState.FAILED, ERROR),
        f"the step is {failed.state} with error {failed.error!r} instead of {ERROR!r}",
    )
    await _idle(stage, judge)
    _manners(stage, judge)


async def _idle(stage: Stage, judge: Judge) -> None:
    before = len(list(stage.traffic.of("ClaimSteps")))
    await asyncio.sleep(IDLE)
    claims = list(stage.traffic.of("ClaimSteps"))
    asked = len(claims) - before
    judge.expect("long-poll", asked <= MOST_CLAIMS, f"{asked} claims in {IDLE:g} s without work")
    judge.expect("long-poll", seconds(claims[-1].request.wait) > 0, "wait is 0")


def _manners(stage: Stage, judge: Judge) -> None:
    for call in stage.traffic.calls:
        wait = seconds(call.request.wait) if call.rpc == "ClaimSteps" else 0.0
        judge_limit(judge, call, wait)
    claims = [call for call in stage.traffic.of("ClaimSteps") if call.ok]
    ids = [call.request.request_id for call in claims]
    if "" in ids:
        judge.broken("request-ids", "a claim has none")
    judge.expect("request-ids", len(set(ids)) == len(ids), "two claims have the same")
    judge.kept("deadlines", "long-poll")


def judge_limit(judge: Judge, call: Call, wait: float) -> None:
    if call.limit is None:
        judge.broken("deadlines", f"{call.rpc} has none")
    elif call.limit <= wait * EARLY:
        judge.broken("deadlines", f"ClaimSteps waits {wait:g} s but has only {call.limit:.1f} s")


async def lost_answers(stage: Stage, judge: Judge) -> None:
    stage.proxy.meddle = losing = _Losing()
    await stage.open()
    losing.armed = True
    step = await stage.submit({"n": 2})
    lost = await stage.call(
        lambda call: call is losing.claim,
        "asked for no more steps",
        stage.patience + stage.threshold,
    )
    again = await stage.traffic.find(
        lambda call: call.begun > lost.begun and token_of(call, step) is not None, stage.patience
    )
    judge.expect(
        "repeats-claim",
        again is not None and again.request.request_id == lost.request.request_id,
        "the claim was not repeated" if again is None else "it came again with another request_id",
    )
    await _report_repeated(stage, judge, losing, step)


async def _report_repeated(stage: Stage, judge: Judge, losing: "_Losing", step: str) -> None:
    lost = await stage.call(
        lambda call: call is losing.report, "reported nothing", stage.patience + stage.threshold
    )
    token = lost.tokens()[0]
    again = await stage.traffic.find(
        lambda call: call.begun > lost.begun and call.rpc == lost.rpc and token in call.tokens(),
        stage.patience,
    )
    judge.expect("repeats-report", again is not None, "the report was not repeated")
    await stage.ended(step)


class _Losing:
    """Loses the first answer with a claim, and that to its report. Both had their effect."""

    def __init__(self) -> None:
        self.armed = False
        self.claim: Call | None = None
        self.report: Call | None = None

    async def __call__(self, call: Call, forward: Forward) -> bytes:
        answer = await forward()
        if not self.armed:
            return answer
        if self.claim is None and call.rpc == "ClaimSteps" and _grants(call, answer):
            self.claim = call
            raise Refusal(grpc.StatusCode.UNAVAILABLE)
        if call.rpc == "CompleteSteps" and self.report is None:
            self.report = call
            raise Refusal(grpc.StatusCode.UNAVAILABLE)
        return answer


def _grants(call: Call, answer: bytes) -> bool:
    message: Any = parse_answer(call.path, answer)
    return bool(message.claims)


async def long_work(stage: Stage, judge: Judge) -> None:
    """Answers to heartbeats come late as well."""
    await stage.open()

    async def late(call: Call, forward: Forward) -> bytes:
        answer = await forward()
        if call.rpc == "Beat":
            await asyncio.sleep(stage.interval / 2)
        return answer

    stage.proxy.meddle = late
    work = 2 * stage.threshold
    step = await stage.submit({"seconds": work})
    token = token_of(await stage.claimed(step), step)
    found = await stage.step_until(
        step,
        lambda seen: seen.crashes > 0 or seen.state is StepState.COMPLETED,
        work + stage.patience,
    )
    judge.expect(
        "heartbeats",
        (found.state, found.attempt) == (StepState.COMPLETED, 1),
        f"work of {work:g} s was lost: attempt {found.attempt}, {found.crashes} crashes",
    )
    named = any(token in call.tokens() for call in stage.traffic.of("Beat"))
    if not named:
        judge.found["heartbeats"] = "they do not name the claim, so nothing can be told of it"


async def overloaded(stage: Stage, judge: Judge) -> None:
    await stage.open()

    async def refuse(call: Call, forward: Forward) -> bytes:
        if call.rpc == "ClaimSteps":
            raise Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, OVERLOAD)
        return await forward()

    stage.proxy.meddle = refuse  # the poll that waits already is let through, and gets the step
    await stage.submit({})
    refused = await stage.traffic.find(_is_refused_claim, 40.0)
    if refused is None or refused.answered is None:
        raise Trouble("did not claim anew within 40 s")
    early = refused.answered + OVERLOAD * EARLY
    again = await stage.traffic.find(
        lambda call: call.rpc == "ClaimSteps" and call.begun > refused.begun, OVERLOAD * EARLY
    )
    took = again.begun - refused.answered if again else OVERLOAD
    judge.expect(
        "overload",
        again is None or again.begun >= early,
        f"claimed again after {took:.2f} s of {OVERLOAD:g} s",
    )


def _is_refused_claim(call: Call) -> bool:
    return call.rpc == "ClaimSteps" and call.code is grpc.StatusCode.RESOURCE_EXHAUSTED


TRIALS = (
    Trial(("heartbeats",), long_work),
    Trial(("completes", "fails", "long-poll", "deadlines", "request-ids"), basics),
    Trial(("repeats-claim", "repeats-report"), lost_answers),
    Trial(("overload",), overloaded),
)
