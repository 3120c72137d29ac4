"""Nothing is tried for ever."""

from collections.abc import Iterator

from pytest_fleetq.verdict.checkers.policy import may_be_retried, retry_of
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import Happened, Trace


class AttemptLimits:
    """A step is retried at most `max_attempts` - 1 times, and recovered at most `max_crashes` - 1
    times: the next failure or crash is its last. A redrive begins anew. What its policy or its
    holder says is not to be retried is not."""

    name = "attempt_limits"
    needs_journal = True

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        for trace in history.unusual:
            yield from _excess(trace, context)


def _excess(trace: Trace, context: Context) -> Iterator[Finding]:
    failures = crashes = 0
    for event in trace.events:
        if event.type == "retrying":
            failures += 1
            yield from _retried(trace, event, failures, context)
        elif event.type == "recovered":
            crashes += 1
            if context.max_crashes is not None and crashes >= context.max_crashes:
                problem = (
                    f"step {trace.step} is to be tried again after crash {crashes}, "
                    f"with max_crashes {context.max_crashes}"
                )
                yield Finding(problem, trace.step, (event.line,))
        elif event.type == "redriven":
            failures = crashes = 0


def _retried(trace: Trace, event: Happened, failures: int, context: Context) -> Iterator[Finding]:
    policy = retry_of(trace, context)
    if policy is not None and failures >= policy["max_attempts"]:
        problem = (
            f"step {trace.step} is to be tried again after failure {failures}, "
            f"with max_attempts {policy['max_attempts']}"
        )
        yield Finding(problem, trace.step, (trace.acknowledged, event.line))
    elif not may_be_retried(event, policy):
        problem = (
            f"step {trace.step} is to be tried again after {event.detail.get('error')}, "
            "which must not be retried"
        )
        yield Finding(problem, trace.step, (event.line,))
