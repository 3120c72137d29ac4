"""When the faults are over, work goes on."""

import math
from collections.abc import Iterator

from pytest_fleetq.verdict.checkers.policy import told_delay
from pytest_fleetq.verdict.checkers.presence import Presence
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context, Finding, Verdict
from pytest_fleetq.verdict.records import Trace

_OVER = frozenset({"completed", "dead", "cancelled", "pruned", "purged"})


class NothingStuck:
    """Once the last fault healed and the grace is over, every step is terminal or waits for a
    reason: it is not due, its queue is paused, its holder is alive, or of those who ran its kind
    before nobody is idle. The history ends where the last phase `teardown` begins, if one does."""

    name = "nothing_stuck"
    needs_journal = True

    def check(self, history: History, context: Context) -> Iterator[Finding]:
        ends = [phase.start for phase in history.phases if phase.name == "teardown"]
        latest = (ends[-1] if ends else history.end) - context.grace
        if _healed(history, context) > latest:
            return  # it ended too soon to tell
        left = [t for t in history.unusual if t.events and t.events[-1].type not in _OVER]
        if not left:
            return
        presence = Presence(history, left)
        # Perhaps it moved on, and only the journal has not been read so far.
        told = history.journal_read_at > latest
        clock_moved = any(fault.name.startswith("clock") for fault in history.faults)
        for trace in left:
            for finding in _stuck(trace, presence, latest):
                sure = told and not (clock_moved and _waits_for_a_time(trace))
                yield finding if sure else finding._replace(verdict=Verdict.UNKNOWN)


def _healed(history: History, context: Context) -> float:
    """When the last fault was over; infinite if one never was."""
    ends = [
        fault.start if fault.name in context.sudden_faults
        else math.inf if fault.end is None
        else fault.end
        for fault in history.faults
    ]  # fmt: skip
    return max(ends, default=0.0)


def _stuck(trace: Trace, presence: Presence, latest: float) -> Iterator[Finding]:
    last = trace.events[-1]
    if last.type == "claimed":
        gone = presence.gone.get(last.holder or "")
        if gone is not None and presence.pods and max(gone.seen, last.seen) <= latest:
            how = "dead" if gone.type == "pod_dead" else "gone"
            problem = f"step {trace.step} is stuck: {last.holder} holds it, and is {how}"
            yield Finding(problem, trace.step, (last.line, gone.line))
    elif _due(trace) <= latest and (idle := presence.idle_for(trace, latest)):
        problem = f"step {trace.step} is stuck: {last.type}, due, and {idle} does not claim it"
        yield Finding(problem, trace.step, (last.line,))


def _due(trace: Trace) -> float:
    """When it may be claimed, at the latest, in seconds since the history began; infinite where
    the history does not tell."""
    last = trace.events[-1]
    if last.type == "retrying":
        delay = told_delay(last)
        return math.inf if delay is None else last.seen + delay
    if last.type == "redriven":
        return last.seen + (told_delay(last) or 0.0)
    if last.type == "submitted":
        if trace.asked is None:
            return math.inf
        run_at = trace.asked.run_at
        return last.seen if run_at is None else last.seen + max(0.0, float(run_at) - last.at)
    return last.seen


def _waits_for_a_time(trace: Trace) -> bool:
    """By a clock, which a fault may have moved when the time was set."""
    last = trace.events[-1]
    return bool(told_delay(last)) or bool(trace.asked and trace.asked.run_at is not None)
