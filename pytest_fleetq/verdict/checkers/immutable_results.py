"""What is over stays as it is."""

from collections.abc import Iterator

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import TERMINAL, Happened, Seen, StepId, Trace

_ENDS = {"COMPLETED": "completed", "FAILED": "dead", "CANCELLED": "cancelled"}
_ANY = ({"step_id": None},)
# A second result is for `conservation`, life after the DLQ for `dlq_truth`.
_CHANGES = frozenset({"claimed", "retrying", "released", "recovered", "dead", "redriven"})


class ImmutableResults:
    """Reads of an ended step never differ, they show what its holder wrote and what the journal
    says; no terminal state changes, but FAILED by a redrive."""

    name = "immutable_results"
    needs_journal = False

    def check(self, history: History, _context: Context) -> Iterator[Finding]:
        unsure = _of_unknown_outcome(history)
        for trace in history.unusual:
            yield from _changed(trace)
            if trace.reads:
                yield from _read_differently(trace, history.journal_line)
                if not unsure & {trace.step, None}:
                    yield from _not_as_written(trace)
                yield from _not_as_recorded(trace, history.journal_line)


def _of_unknown_outcome(history: History) -> frozenset[StepId | None]:
    """Steps that may have been completed by a call nobody saw answered: a repeat of it is accepted
    too, and its result, if it differs, is not the one that counts. None: it may be any step."""
    calls = [one.value for one in history.unfinished if one.name == "complete"]
    return frozenset(item["step_id"] for call in calls for item in call.get("items", _ANY))


def _changed(trace: Trace) -> Iterator[Finding]:
    end: Happened | None = None
    for event in trace.events:
        kind = event.type
        if end is not None and (kind in _CHANGES or kind == _other_end(end)):
            problem = f"step {trace.step} was {end.type}, and then {kind}"
            yield Finding(problem, trace.step, (end.line, event.line))
            return
        if kind in ("completed", "cancelled"):
            end = event


def _other_end(end: Happened) -> str:
    return "cancelled" if end.type == "completed" else "completed"


def _read_differently(trace: Trace, journal_line: int) -> Iterator[Finding]:
    # Without the whole journal nobody can tell that there was no redrive.
    redriven = any(event.type == "redriven" for event in trace.events)
    redriven |= trace.reads[-1].line >= journal_line
    first: Seen | None = None
    for seen in trace.reads:
        if redriven and seen.state == "FAILED":
            continue  # perhaps of another life
        if first is None:
            first = seen if seen.state in TERMINAL else None
        elif _differs(first, seen):
            problem = f"step {trace.step} was read as {_said(first)}, and then as {_said(seen)}"
            yield Finding(problem, trace.step, (first.line, seen.line))
            return


def _differs(first: Seen, later: Seen) -> bool:
    if later.state not in TERMINAL:
        return later.called > first.line  # otherwise it may have been the earlier one
    if later.state != first.state:
        return True
    return None not in (first.result, later.result) and bool(first.result != later.result)


def _said(seen: Seen) -> str:
    return seen.state if seen.result is None else f"{seen.state} with result {seen.result!r}"


def _not_as_written(trace: Trace) -> Iterator[Finding]:
    for seen in trace.reads:
        if seen.state != "COMPLETED" or seen.result is None:
            continue
        writes = [write for write in trace.writes if write.operation == "complete"]
        results = [write.result for write in writes]
        if results and None not in results and seen.result not in results:
            problem = (
                f"step {trace.step} was completed with {results[0]!r}, and read as {_said(seen)}"
            )
            yield Finding(problem, trace.step, (writes[0].line, seen.line))
            return


def _not_as_recorded(trace: Trace, journal_line: int) -> Iterator[Finding]:
    for seen in trace.reads:
        end = _ENDS.get(seen.state)
        if end is None or seen.line >= journal_line:
            continue
        if not any(event.type == end for event in trace.events):
            problem = f"step {trace.step} was read as {seen.state}, which the journal does not know"
            yield Finding(problem, trace.step, (seen.line,))
            return
