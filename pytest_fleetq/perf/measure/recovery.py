"""How long a fleet took to get over each fault, from the fault's start.

detected  the last holder was declared dead
recovery  the last step of a dead holder was returned (to PENDING, or to the DLQ)
rerun     the first returned step was claimed again
steady    as much is done again as before the fault: 95 % of the rate until then

What happens up to the next fault is put down to this one.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from pytest_fleetq.perf.measure.history import Call, Happening
from pytest_fleetq.perf.measure.phases import FaultSpan
from pytest_fleetq.verdict.records import Outcome

SHARE = 0.95
LEAST_STEADY_SECONDS = 1.0
LEAST_STEADY_ENDS = 100
WINDOW_ENDS = 50  # expected in a window, so that one more or less is no news
SHORTEST_WINDOW = 0.2


class Recovery(NamedTuple):
    """Seconds from the fault's start; None: nothing of that kind happened, or could be told."""

    fault: str
    detected: float | None
    recovery: float | None
    rerun: float | None
    steady: float | None  # infinite: not within the test


def recoveries(
    faults: Sequence[FaultSpan], journal: Sequence[Happening], done: Sequence[Call], now: float
) -> list[Recovery]:
    """Args: `done`: the calls or steps whose rate tells how much is done."""
    ends = sorted(call.end for call in done if call.outcome is Outcome.OK)
    asked = max((call.start for call in done), default=math.inf)
    starts = sorted(faults, key=lambda fault: fault.start)
    found = []
    for number, fault in enumerate(starts):
        following = starts[number + 1].start if number + 1 < len(starts) else math.inf
        events = [event for event in journal if fault.start <= event.at < following]
        begin = max((one.end for one in starts[:number]), default=-math.inf)
        found.append(
            Recovery(
                fault.name,
                _detected(events, fault.start),
                _returned(events, fault.start),
                _rerun(events, fault.start),
                _back_to_steady(ends, begin, fault.start, min(following, now), asked),
            )
        )
    return found


def _detected(events: Sequence[Happening], start: float) -> float | None:
    return max((event.at - start for event in events if event.type == "pod_dead"), default=None)


def _returned(events: Sequence[Happening], start: float) -> float | None:
    dead = {event.holder for event in events if event.type == "pod_dead"}
    back = [e for e in events if e.type in ("recovered", "dead") and e.holder in dead]
    return max((event.at - start for event in back), default=None)


def _rerun(events: Sequence[Happening], start: float) -> float | None:
    returned: set[int] = set()
    for event in events:
        if event.type == "recovered":
            returned.update(event.steps)
        elif event.type == "claimed" and not returned.isdisjoint(event.steps):
            return event.at - start
    return None


def _back_to_steady(
    ends: Sequence[float], begin: float, start: float, now: float, asked: float
) -> float | None:
    first = bisect_left(ends, begin)
    before = bisect_left(ends, start) - first
    seconds = start - ends[first] if before > 0 else 0.0
    if seconds < LEAST_STEADY_SECONDS or before < LEAST_STEADY_ENDS:
        return None
    rate = before / seconds
    window = max(SHORTEST_WINDOW, WINDOW_ENDS / rate)
    wanted = SHARE * rate * window
    if asked >= start + window:
        now = min(now, asked)  # that less is done once nothing is asked any more is no fall
    fallen = False
    moment = start
    while moment + window <= now:
        enough = bisect_left(ends, moment + window) - bisect_left(ends, moment) >= wanted
        if fallen and enough:
            return moment - start
        fallen = fallen or not enough
        moment += window / 10
    return math.inf if fallen else 0.0
