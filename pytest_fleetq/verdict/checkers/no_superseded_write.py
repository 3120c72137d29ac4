"""A holder that lost its claim can change nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import Claimed, Happened, StepId, Trace, Write

_BY_HOLDER = frozenset({"completed", "retrying", "released", "dead"})
_WAITING_AFTER = frozenset({"submitted", "retrying", "released", "recovered", "redriven"})

# What a call may have written that does not tell.
_ANY_STEP = ""
_ANY = ({"step_id": _ANY_STEP},)

# (operation, step, fence) → line of the first such call whose outcome is unknown
_Doubtful = Mapping[tuple[str, StepId, Any], int]


class NoSupersededWrite:
    """No complete, fail or release is accepted after its claim ended or another began.

    The journal shows a write without a live claim. That a live claim was somebody else's shows in
    the operations: a claim that another followed, each answered before the next call was made, and
    then a write with the first one's fence, accepted, and no repeat of an earlier one.
    """

    name = "no_superseded_write"
    needs_journal = False

    def check(self, history: History, _context: Context) -> Iterator[Finding]:
        for trace in history.unusual:
            yield from _without_claim(trace)
        suspects = [trace for trace in history.unusual if _may_be_superseded(trace)]
        if suspects:
            doubtful = _of_unknown_outcome(history)
            for trace in suspects:
                yield from _accepted_late(trace, doubtful)


def _without_claim(trace: Trace) -> Iterator[Finding]:
    previous: Happened | None = None
    claim: Happened | None = None
    for event in trace.events:
        kind = event.type
        if kind == "claimed":
            claim = event
        elif kind in _BY_HOLDER and previous is not None:
            if previous.type in _WAITING_AFTER:
                problem = f"step {trace.step}: {kind} was accepted though nobody held it any more"
                yield Finding(problem, trace.step, (previous.line, event.line))
            elif claim is not None and event.holder not in (None, claim.holder):
                problem = (
                    f"step {trace.step}: {kind} by {event.holder} while {claim.holder} held it"
                )
                yield Finding(problem, trace.step, (claim.line, event.line))
        previous = event


def _may_be_superseded(trace: Trace) -> bool:
    if len(trace.claims) > 1:
        return bool(trace.writes)
    return any(event.type == "recovered" for event in trace.events)


def _of_unknown_outcome(history: History) -> _Doubtful:
    found: dict[tuple[str, StepId, Any], int] = {}
    for one in history.unfinished:
        if one.name in ("complete", "fail", "release"):
            for item in one.value.get("items", _ANY):
                found.setdefault((one.name, item["step_id"], item.get("fence")), one.called)
    return found


def _accepted_late(trace: Trace, doubtful: _Doubtful) -> Iterator[Finding]:
    for write in trace.writes:
        loss = _loss(trace, write)
        if loss is None or _first_call(trace, write, doubtful) < loss:
            continue
        problem = (
            f"step {trace.step}: {write.operation} by {write.holder} was accepted though its claim "
            "had been superseded"
        )
        yield Finding(problem, trace.step, (loss, write.line))


def _first_call(trace: Trace, write: Write, doubtful: _Doubtful) -> int:
    """A repeat gets the answer of the first: that one is to be judged."""
    calls = [
        other.called
        for other in trace.writes
        if (other.operation, other.fence) == (write.operation, write.fence)
    ]
    named = doubtful.get((write.operation, trace.step, write.fence), write.called)
    unnamed = doubtful.get((write.operation, _ANY_STEP, None), write.called)
    return min(*calls, named, unnamed)


def _loss(trace: Trace, write: Write) -> int | None:
    """The first line that shows the write's claim lost, if any does."""
    own = _claim_of(trace, write)
    lines = _recoveries(trace, write.holder or ("" if own is None else own.holder))
    if own is not None:
        lines += [
            other.line for other in trace.claims if other.called > own.line and _other(other, own)
        ]
    return min(lines, default=None)


def _recoveries(trace: Trace, holder: str) -> list[int]:
    """Lines that took the step from this holder for good: it has not claimed it again."""
    lost: list[int] = []
    for event in trace.events:
        if holder and event.holder == holder:
            if event.type == "recovered":
                lost.append(event.line)
            elif event.type == "claimed":
                lost.clear()
    return lost


def _claim_of(trace: Trace, write: Write) -> Claimed | None:
    """The last answer that gave this fence: a repeated claim call gives it again."""
    own = None
    for claim in trace.claims:
        if claim.fence == write.fence:
            own = claim
    return own


def _other(claim: Claimed, own: Claimed) -> bool:
    return bool(claim.fence != own.fence)
