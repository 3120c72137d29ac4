"""A failed step rests before it is tried again."""

from collections.abc import Iterator

from pytest_fleetq.verdict.checkers.policy import failures_of, retry_of, shortest_delay
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding, Verdict
from pytest_fleetq.verdict.records import Happened, Trace


class RetryDelays:
    """Between a failure and the next claim lies the policy's delay, less its jitter.

    Judged by the store's time, which says nothing once a fault has moved a clock: UNKNOWN then.
    """

    name = "retry_delays"
    needs_journal = True

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        doubt = any(fault.name.startswith("clock") for fault in history.faults)
        verdict = Verdict.UNKNOWN if doubt else Verdict.FAIL
        for trace in history.eventful:
            yield from _hasty(trace, history, context, verdict)


def _hasty(trace: Trace, history: History, context: Context, verdict: Verdict) -> Iterator[Finding]:
    failure: Happened | None = None
    failures = 0
    for event in trace.events:
        kind = event.type
        if kind == "retrying":
            failure, failures = event, failures + 1
        elif kind == "redriven":
            failure, failures = None, 0
        elif kind == "claimed" and failure is not None:
            waited = event.at - failure.at
            least = _least(trace, failure, failures, history, context)
            if waited < least - context.delay_tolerance:
                problem = (
                    f"step {trace.step} was claimed {waited:.3f} s after failure {failures}, "
                    f"its policy says at least {least:.3f} s"
                )
                yield Finding(problem, trace.step, (failure.line, event.line), verdict)
            failure = None


def _least(
    trace: Trace, failure: Happened, failures: int, history: History, context: Context
) -> float:
    if "delay" in failure.detail:
        return float(failure.detail["delay"])
    policy = retry_of(trace, context)
    if policy is None:
        return 0.0
    reports = failures_of(trace, history)
    if reports is None:
        return 0.0
    # A holder that fails a step may choose its delay, instead of the policy's.
    chosen = [float(r["retry_delay"]) for r in reports if r.get("retry_delay") is not None]
    return min([shortest_delay(policy, failures), *chosen])
