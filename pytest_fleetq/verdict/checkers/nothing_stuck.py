"""When the faults are over, work goes on."""

import math
from collections.abc import Iterator

from pytest_fleetq.verdict.checkers.policy import longest_delay, retry_of
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding, Verdict
from pytest_fleetq.verdict.records import Happened, Trace

_OVER = frozenset({"completed", "dead", "cancelled", "pruned", "purged"})


class NothingStuck:
    """Once the last fault healed and the grace is over, every step is terminal or waits for a
    reason: it is not due, its queue is paused or busy, its holder is alive, or nobody is there
    who would run it. The history ends where a phase `teardown` begins, if one does."""

    name = "nothing_stuck"
    needs_journal = True

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        end = next((p.start for p in history.phases if p.name == "teardown"), history.end)
        latest = end - context.grace
        if _healed(history, context) > latest:
            return  # it ended too soon to tell
        left = [trace for trace in history.eventful if trace.events[-1].type not in _OVER]
        if left:
            fleet = _Fleet(history, end)
            # Perhaps it moved on, and only the journal has not been read so far.
            verdict = Verdict.FAIL if history.journal_read_at > latest else Verdict.UNKNOWN
            for trace in left:
                for finding in _stuck(trace, fleet, latest, context):
                    yield finding._replace(verdict=verdict)


def _healed(history: History, context: Context) -> float:
    """When the last fault was over; infinite if one never was."""
    ends = [
        fault.start if fault.name in context.sudden_faults
        else math.inf if fault.end is None
        else fault.end
        for fault in history.faults
    ]  # fmt: skip
    return max(ends, default=0.0)


class _Fleet:
    """Who is there, and what they do, at the end of the history."""

    def __init__(self, history: History, end: float) -> None:
        self.paused: dict[str | None, bool] = {}
        self.gone: dict[str, Happened] = {}
        self.present: set[str] = set()
        for event in history.fleet:
            if event.seen <= end:
                self._note(event)
        self.last_claims: dict[str | None, float] = {}
        self.kinds_claimed: set[object] = set()
        for trace in history.steps.values():
            for event in trace.events:
                if event.type == "claimed":
                    self.last_claims[event.queue] = max(
                        event.seen, self.last_claims.get(event.queue, 0.0)
                    )
                    self.kinds_claimed.add(kind_of(trace))

    def _note(self, event: Happened) -> None:
        if event.type in ("paused", "resumed"):
            self.paused[event.queue] = event.type == "paused"
        elif event.type == "pod_joined" and event.holder:
            self.present.add(event.holder)
        elif event.type in ("pod_dead", "pod_left") and event.holder:
            self.present.discard(event.holder)
            self.gone[event.holder] = event

    def may_rest(self, trace: Trace, queue: str | None, latest: float) -> bool:
        nobody = not self.present or kind_of(trace) not in self.kinds_claimed
        busy = self.last_claims.get(queue, 0.0) > latest
        return nobody or busy or self.paused.get(queue, False)


def kind_of(trace: Trace) -> object:
    return None if trace.asked is None else trace.asked.kind


def _stuck(trace: Trace, fleet: _Fleet, latest: float, context: Context) -> Iterator[Finding]:
    last = trace.events[-1]
    if last.type == "claimed":
        gone = fleet.gone.get(last.holder or "")
        if gone is not None and max(gone.seen, last.seen) <= latest:
            problem = f"step {trace.step} is stuck: {last.holder} holds it, and is {_how(gone)}"
            yield Finding(problem, trace.step, (last.line, gone.line))
        return
    queue = next((event.queue for event in trace.events if event.queue is not None), None)
    if _due(trace, last, context) <= latest and not fleet.may_rest(trace, queue, latest):
        problem = f"step {trace.step} is stuck: {last.type}, due, and nobody claims it"
        yield Finding(problem, trace.step, (last.line,))


def _how(gone: Happened) -> str:
    return "dead" if gone.type == "pod_dead" else "gone"


def _due(trace: Trace, last: Happened, context: Context) -> float:
    """When it may be claimed, at the latest, in seconds since the history began."""
    if last.type == "retrying":
        policy = retry_of(trace, context)
        if policy is None:
            return math.inf
        delays = [float(w.about.get("retry_delay") or 0.0) for w in trace.writes]
        failures = sum(event.type == "retrying" for event in trace.events)
        return last.seen + max([longest_delay(policy, failures), *delays])
    run_at = trace.asked.run_at if trace.asked is not None else None
    if run_at is not None and last.type in ("submitted", "recovered", "released"):
        return last.seen + max(0.0, float(run_at) - last.at)
    return last.seen
