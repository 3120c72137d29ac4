"""The DLQ holds what is dead, all of it, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_fleetq.verdict.checkers.policy import may_be_retried, retry_of
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import DeadListing, Happened, Trace, Value

_OUT = frozenset({"redriven", "purged", "pruned"})
_NEVER_RETRIED = frozenset({"unknown_kind", "invalid_payload"})


class DlqTruth:
    """A step in the DLQ spent its attempts or its crashes, or must not be retried; it is in no
    other place; a listing of the DLQ shows exactly the steps that died, and why.

    A death whose event tells no cause is taken for justified.
    """

    name = "dlq_truth"
    needs_journal = True

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        dead = []
        for trace in history.unusual:
            if any(event.type == "dead" for event in trace.events):
                dead.append(trace)
                yield from _in_two_places(trace)
                yield from _buried_early(trace, context)
        for listing in history.dead_listings:
            # Of what the journal has not told yet, a death or a redrive may be part.
            if listing.line < history.journal_line:
                yield from _wrongly_listed(listing, history)
                if listing.everything:
                    yield from _not_listed(listing, dead)


def _in_two_places(trace: Trace) -> Iterator[Finding]:
    death: Happened | None = None
    for event in trace.events:
        if event.type == "dead":
            death = event
        elif event.type in _OUT:
            death = None
        elif death is not None:
            problem = f"step {trace.step} was {event.type} while it was in the DLQ"
            yield Finding(problem, trace.step, (death.line, event.line))
            return


def _buried_early(trace: Trace, context: Context) -> Iterator[Finding]:
    policy = retry_of(trace, context)
    failures = crashes = 0
    for event in trace.events:
        if event.type == "redriven":
            failures = crashes = 0
        failures += event.type == "retrying"
        crashes += event.type == "recovered"
        if event.type != "dead":
            continue
        early = _too_early(event, failures + 1, crashes + 1, policy, context)
        if early:
            yield Finding(f"step {trace.step} is in the DLQ {early}", trace.step, (event.line,))


def _too_early(
    death: Happened, failures: int, crashes: int, policy: Mapping[str, Any] | None, context: Context
) -> str:
    """Why it should not be dead yet; empty if it may be."""
    cause = death.detail.get("cause")
    if cause == "crashed":
        if context.max_crashes is None or crashes >= context.max_crashes:
            return ""
        return f"as crashed, after {crashes} of {context.max_crashes} crashes"
    if cause is None or cause in _NEVER_RETRIED or not may_be_retried(death, policy):
        return ""
    if policy is None or failures >= policy["max_attempts"]:
        return ""
    error = death.detail.get("error", cause)
    return f"after {failures} of {policy['max_attempts']} attempts, by {error}"


def _wrongly_listed(listing: DeadListing, history: History) -> Iterator[Finding]:
    for step, about in listing.steps.items():
        trace = history.steps.get(step)
        events = trace.events if trace is not None else []
        if any(event.type == "dead" and event.line > listing.called for event in events):
            continue  # it died about then; the journal was told a little later
        before = [event for event in events if event.line < listing.called]
        last = before[-1] if before else None
        if last is None or last.type != "dead":
            lines = (listing.line,) if last is None else (last.line, listing.line)
            problem = f"step {step} is in the DLQ, and the journal says it is not dead"
            if last is not None:
                problem += f": it was {last.type}"
            yield Finding(problem, step, lines)
        elif _differs(last, about):
            problem = (
                f"step {step} is in the DLQ as {about['cause']}, "
                f"and the journal says {last.detail['cause']}"
            )
            yield Finding(problem, step, (last.line, listing.line))


def _differs(death: Happened, about: Value) -> bool:
    causes = (death.detail.get("cause"), about.get("cause"))
    return None not in causes and causes[0] != causes[1]


def _not_listed(listing: DeadListing, dead: Sequence[Trace]) -> Iterator[Finding]:
    for trace in dead:
        last = trace.events[-1]
        if last.type == "dead" and last.line < listing.called and trace.step not in listing.steps:
            problem = f"step {trace.step} died, and is not in the DLQ"
            yield Finding(problem, trace.step, (last.line, listing.line))
