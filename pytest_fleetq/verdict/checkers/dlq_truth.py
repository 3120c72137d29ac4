"""The DLQ holds what is dead, all of it, and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_fleetq.verdict.checkers.policy import failures_of, retry_of
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import DeadListing, Happened, StepId, Trace, Value

_OUT = frozenset({"redriven", "purged", "pruned"})
_NEVER_RETRIED = frozenset({"unknown_kind", "invalid_payload"})

_Graves = Mapping[StepId, list[Value]]  # what listings and reads said of FAILED steps


class DlqTruth:
    """A step in the DLQ spent its attempts or its crashes, or must not be retried; it is in no
    other place; a listing of the DLQ shows exactly the steps that died."""

    name = "dlq_truth"
    needs_journal = True

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        graves = _graves(history)
        dead = []
        for trace in history.eventful:
            if any(event.type == "dead" for event in trace.events):
                dead.append(trace)
                yield from _in_two_places(trace)
                yield from _buried_early(trace, graves.get(trace.step, []), history, context)
        for listing in history.dead_listings:
            yield from _wrongly_listed(listing, history)
            # A redrive or purge that the journal has not told yet would empty the DLQ too.
            if listing.everything and listing.line < history.journal_line:
                yield from _not_listed(listing, dead)


def _graves(history: History) -> _Graves:
    found: dict[StepId, list[Value]] = {}
    for listing in history.dead_listings:
        for step, about in listing.steps.items():
            found.setdefault(step, []).append(about)
    return found


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


def _buried_early(
    trace: Trace, graves: Sequence[Value], history: History, context: Context
) -> Iterator[Finding]:
    failures = crashes = 0
    for event in trace.events:
        kind = event.type
        if kind == "retrying":
            failures += 1
        elif kind == "recovered":
            crashes += 1
        elif kind == "redriven":
            failures = crashes = 0
        elif kind == "dead":
            early = _reason_missing(
                trace, event, failures + 1, crashes + 1, graves, history, context
            )
            if early:
                yield Finding(f"step {trace.step} is in the DLQ {early}", trace.step, (event.line,))


def _reason_missing(
    trace: Trace, death: Happened, failures: int, crashes: int, graves: Sequence[Value],
    history: History, context: Context,
) -> str:  # fmt: skip
    """Why it should not be dead yet; empty if it may be.

    A handler may forbid a retry by the kind of error it raises, which the journal does not tell:
    a handler's error counts as too early only where the history has the holder's own report.
    """
    policy = retry_of(trace, context)
    if policy is None or failures >= policy["max_attempts"]:
        return ""
    last = f"after {failures} of {policy['max_attempts']} attempts"
    reports = failures_of(trace, history)
    if reports is None:
        return ""
    cause = _cause(death, graves, reports)
    if cause == "crashed":
        spent = crashes >= context.max_crashes
        return "" if spent else f"as crashed, after {crashes} of {context.max_crashes} crashes"
    if cause == "timeout":
        return f"{last}, by a timeout"
    if cause in _NEVER_RETRIED or not reports or crashes >= context.max_crashes:
        return ""
    forbidden = [item for item in reports if _never_again(item, policy)]
    return "" if forbidden else f"{last}, by an error that may be retried"


def _cause(death: Happened, graves: Sequence[Value], reports: Sequence[Value]) -> str | None:
    """Only where all sources agree, since a step may die again after a redrive."""
    said = [death.detail] if "cause" in death.detail else [*graves, *reports]
    causes = {about["cause"] for about in said if about.get("cause")}
    return str(causes.pop()) if len(causes) == 1 else None


def _never_again(item: Value, policy: Mapping[str, Any]) -> bool:
    return not item.get("retryable", True) or item.get("error") in policy["non_retryable"]


def _wrongly_listed(listing: DeadListing, history: History) -> Iterator[Finding]:
    whole = listing.called < history.journal_line
    for step in listing.steps:
        trace = history.steps.get(step)
        events = trace.events if trace is not None else []
        before = [event for event in events if event.line < listing.called]
        if any(event.type == "dead" for event in events[len(before) :]):
            continue  # it died about then; the journal was told a little later
        last = before[-1] if before else None
        if last is None and not whole:
            continue
        if last is None or last.type != "dead":
            lines = (listing.line,) if last is None else (last.line, listing.line)
            problem = f"step {step} is in the DLQ, and the journal says it is not dead"
            if last is not None:
                problem += f": it was {last.type}"
            yield Finding(problem, step, lines)


def _not_listed(listing: DeadListing, dead: Sequence[Trace]) -> Iterator[Finding]:
    for trace in dead:
        last = trace.events[-1]
        if last.type == "dead" and last.line < listing.called and trace.step not in listing.steps:
            problem = f"step {trace.step} died, and is not in the DLQ"
            yield Finding(problem, trace.step, (last.line, listing.line))
