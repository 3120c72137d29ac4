"""Nothing is lost, nothing is there twice, nothing comes from nowhere."""

from collections.abc import Iterator

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import Outcome, Trace

_DELETED = ("pruned", "purged")
_ENDED = ("completed", "dead", "cancelled")
# What the journal says of a write that was accepted.
_RECORDED_AS = {
    "complete": ("completed",),
    "fail": ("retrying", "dead", "cancelled"),
    "release": ("released", "cancelled"),
}


class Conservation:
    """Every acknowledged submit and write is on record, exactly once; every step was submitted.

    A submit of unknown outcome may have made its steps, or not.
    """

    name = "conservation"
    needs_journal = False

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        for trace in history.steps.values():
            if trace.acknowledged and (not trace.events or trace.missing):
                yield from _lost(trace, history.journal_line)
            if trace.writes and not _only_completed(trace):
                yield from _forgotten_write(trace, history.journal_line)
        for trace in history.eventful:
            yield from _miscounted(trace)
        if context.only_recorded_clients:
            yield from _unexpected(history)


def _lost(trace: Trace, journal_line: int) -> Iterator[Finding]:
    line = trace.acknowledged
    if not trace.events:
        if line < journal_line:
            problem = (
                f"step {trace.step} is lost: its submit was acknowledged, no event tells of it"
            )
            yield Finding(problem, trace.step, (line,))
            return
    elif any(event.type in _DELETED for event in trace.events):
        return
    if trace.missing is not None and trace.missing[0] > line:
        problem = f"step {trace.step} is lost: acknowledged, and later it did not exist"
        yield Finding(problem, trace.step, (line, trace.missing[1]))


def _only_completed(trace: Trace) -> bool:
    return trace.ordinary and len(trace.writes) == 1 and trace.writes[0].operation == "complete"


def _forgotten_write(trace: Trace, journal_line: int) -> Iterator[Finding]:
    for write in trace.writes:
        types = {event.type for event in trace.events}
        if write.line < journal_line and types.isdisjoint(_RECORDED_AS[write.operation]):
            problem = (
                f"step {trace.step}: {write.operation} by {write.holder} was accepted, "
                "and is not in the journal"
            )
            yield Finding(problem, trace.step, (write.line,))


def _miscounted(trace: Trace) -> Iterator[Finding]:
    submitted = completed = previous = None
    for event in trace.events:
        kind = event.type
        if kind == "submitted":
            if submitted is not None:
                lines = (submitted.line, event.line)
                yield Finding(f"step {trace.step} was submitted twice", trace.step, lines)
            submitted = event
        elif kind == "completed":
            if completed is not None:
                lines = (completed.line, event.line)
                yield Finding(f"step {trace.step} has two results", trace.step, lines)
            completed = event
        elif kind in _DELETED and previous is not None and previous.type not in _ENDED:
            problem = f"step {trace.step} is lost: {kind} before it had ended"
            yield Finding(problem, trace.step, (previous.line, event.line))
        previous = event


def _unexpected(history: History) -> Iterator[Finding]:
    doubtful = [one for one in history.unfinished if one.name == "submit"]
    if not doubtful and not history.outcomes.get(("submit", Outcome.OK)):
        return  # whoever submits here is not recorded
    possible = sum(int(one.value.get("count", 1)) for one in doubtful)
    strangers = [
        trace for trace in history.steps.values() if trace.events and not trace.acknowledged
    ]
    if len(strangers) > possible:
        first = strangers[0]
        problem = (
            f"{len(strangers)} steps exist that no acknowledged submit returned, such as step "
            f"{first.step}; submits of unknown outcome account for at most {possible}"
        )
        yield Finding(problem, first.step, (first.events[0].line,))
