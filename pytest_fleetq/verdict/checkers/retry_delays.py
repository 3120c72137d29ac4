"""A failed step rests before it is tried again."""

from collections.abc import Iterator

from pytest_fleetq.verdict.checkers.policy import (
    longest_delay,
    retry_of,
    shortest_delay,
    told_delay,
)
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding, Verdict
from pytest_fleetq.verdict.records import Happened, Trace


class RetryDelays:
    """A retry's delay is within what the policy allows, jitter included, unless its holder chose
    another; and the next claim comes no sooner. A failure whose event tells no delay is not judged.

    The second half goes by the store's time, which says nothing once a fault has moved a clock:
    UNKNOWN then.
    """

    name = "retry_delays"
    needs_journal = True

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        doubt = any(fault.name.startswith("clock") for fault in history.faults)
        verdict = Verdict.UNKNOWN if doubt else Verdict.FAIL
        for trace in history.unusual:
            yield from _out_of_policy(trace, context)
            yield from _hasty(trace, context, verdict)


def _out_of_policy(trace: Trace, context: Context) -> Iterator[Finding]:
    failures = 0
    for event in trace.events:
        if event.type == "redriven":
            failures = 0
        elif event.type == "retrying":
            failures += 1
            policy, delay = retry_of(trace, context), told_delay(event)
            if policy is None or delay is None or event.detail.get("delay_by") != "policy":
                continue
            least, most = shortest_delay(policy, failures), longest_delay(policy, failures)
            if not least - context.delay_tolerance <= delay <= most + context.delay_tolerance:
                problem = (
                    f"step {trace.step} is to wait {delay:.3f} s after failure {failures}, "
                    f"its policy says {least:.3f} to {most:.3f} s"
                )
                yield Finding(problem, trace.step, (trace.acknowledged, event.line))


def _hasty(trace: Trace, context: Context, verdict: Verdict) -> Iterator[Finding]:
    failure: Happened | None = None
    for event in trace.events:
        if event.type == "retrying":
            failure = event
        elif event.type == "redriven":
            failure = None
        elif event.type == "claimed" and failure is not None:
            waited, delay = event.at - failure.at, told_delay(failure) or 0.0
            if waited < delay - context.delay_tolerance:
                problem = (
                    f"step {trace.step} was claimed {waited:.3f} s after a failure "
                    f"that was to wait {delay:.3f} s"
                )
                yield Finding(problem, trace.step, (failure.line, event.line), verdict)
            failure = None
