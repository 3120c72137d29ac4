"""Nobody may claim a step that somebody else holds."""

from collections.abc import Iterator
from math import inf

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
        lives = _lives(history)
        for trace in history.unusual:
            yield from _overlaps(trace, lives)


def _lives(history: History) -> dict[str, float]:
    """Holder → seq of the event that ended it. Those whose beginning the history has not seen may
    have ended unseen too."""
    lives: dict[str, float] = {}
    for event in history.fleet:
        if event.holder and event.type == "pod_joined":
            lives[event.holder] = inf
        elif event.holder in lives and event.type in ("pod_dead", "pod_left"):
            lives[event.holder] = min(lives[event.holder], event.seq)
    return lives


def _overlaps(trace: Trace, lives: dict[str, float]) -> Iterator[Finding]:
    live: Happened | None = None
    for event in trace.events:
        if event.type == "claimed":
            if live is not None:
                problem = (
                    f"step {trace.step} was claimed by {event.holder} while {live.holder} held it"
                )
                yield Finding(problem, trace.step, (live.line, event.line))
            live = event
        elif event.type not in _LEAVE_A_CLAIM:
            if live is not None and _by_death(event) and _alive(live, event, lives):
                problem = f"step {trace.step} was taken from {live.holder}, not declared dead"
                yield Finding(problem, trace.step, (live.line, event.line))
            live = None


def _by_death(event: Happened) -> bool:
    """Whether the claim ended because its holder did, by this account."""
    buried = event.type == "dead" and event.detail.get("cause") == "crashed"
    return buried or event.type == "recovered"


def _alive(claim: Happened, recovery: Happened, lives: dict[str, float]) -> bool:
    return lives.get(claim.holder or "", 0) > recovery.seq
