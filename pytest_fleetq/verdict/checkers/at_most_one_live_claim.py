"""Nobody may claim a step that somebody else holds."""

from collections.abc import Iterator

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding
from pytest_fleetq.verdict.records import Happened, Trace

# All other events of a step end its claim.
_LEAVE_A_CLAIM = ("submitted", "progress")


class AtMostOneLiveClaim:
    """Claims of a step never overlap; a claim is taken away only from a holder declared dead."""

    name = "at_most_one_live_claim"
    needs_journal = True

    def check(self, history: History, _context: Context) -> Iterator[Finding]:
        gone = _gone(history)
        for trace in history.eventful:
            yield from _overlaps(trace, gone)


def _gone(history: History) -> dict[str, int]:
    """Holder → seq of the event that said it is dead or left."""
    ends = ("pod_dead", "pod_left")
    return {e.holder: e.seq for e in reversed(history.fleet) if e.type in ends and e.holder}


def _overlaps(trace: Trace, gone: dict[str, int]) -> Iterator[Finding]:
    live: Happened | None = None
    for event in trace.events:
        kind = event.type
        if kind == "claimed":
            if live is not None:
                problem = (
                    f"step {trace.step} was claimed by {event.holder} while {live.holder} held it"
                )
                yield Finding(problem, trace.step, (live.line, event.line))
            live = event
        elif kind not in _LEAVE_A_CLAIM:
            if kind == "recovered" and live is not None and _alive(live, event, gone):
                problem = f"step {trace.step} was taken from {live.holder}, not declared dead"
                yield Finding(problem, trace.step, (live.line, event.line))
            live = None


def _alive(claim: Happened, recovery: Happened, gone: dict[str, int]) -> bool:
    return claim.holder is not None and gone.get(claim.holder, recovery.seq) >= recovery.seq
