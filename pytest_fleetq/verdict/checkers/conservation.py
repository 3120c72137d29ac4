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
        for trace in history.unusual:
            yield from _lost(trace, history.journal_line)
            yield from _forgotten_writes(trace, history.journal_line)
            yield from _miscounted(trace)
        if context.only_recorded_clients and not history.unrecorded:
            yield from _unexpected(history)


def _lost(trace: Trace, journal_line: int) -> Iterator[Finding]:
    line = trace.acknowledged
    if not line:
        return
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


def _forgotten_writes(trace: Trace, journal_line: int) -> Iterator[Finding]:
    for operation, types in _RECORDED_AS.items():
        # By fence: a repeat of a write is accepted too.
        accepted = {
            write.fence: write
            for write in trace.writes
            if write.operation == operation and write.line < journal_line
        }
        recorded = sum(event.type in types for event in trace.events)
        if len(accepted) > recorded:
            by = ", ".join(sorted({write.holder for write in accepted.values()}))
            problem = (
                f"step {trace.step}: {operation} by {by} was accepted, "
                f"and is {'not' if not recorded else f'only {recorded} times'} in the journal"
            )
            lines = tuple(write.line for write in accepted.values())
            yield Finding(problem, trace.step, lines)


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
    found = [
        (trace, event)
        for trace in history.unusual
        if not trace.acknowledged
        for event in trace.events[:1]
        if event.type == "submitted"
    ]
    if len(found) > possible:
        trace, event = found[0]
        problem = (
            f"{len(found)} steps exist that no acknowledged submit returned, such as step "
            f"{trace.step}; submits of unknown outcome account for at most {possible}. If others "
            "submit too, the history must say so: cluster(…, other_clients=True)"
        )
        yield Finding(problem, trace.step, (event.line,))
