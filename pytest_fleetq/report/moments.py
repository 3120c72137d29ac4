"""When events of the fleet's journal happened, on the axis of the history."""

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.records import Happened

SLACK = 0.05  # seconds; two clocks that are read one after the other are never quite at one


class Moments:
    """The journal is read late, so it is the store's time that counts. The clock of a pod may be
    wrong, on purpose: an event from outside the run is put beside the one before it."""

    def __init__(self, history: History) -> None:
        wall = history.header.get("wall")
        self._began = float(wall) if isinstance(wall, int | float) else 0.0
        self._last: float | None = None

    def of(self, event: Happened) -> float:
        """Seconds since the history began."""
        moment = event.at - self._began
        if -SLACK <= moment <= event.seen + SLACK:
            self._last = min(max(moment, 0.0), event.seen)
        return event.seen if self._last is None else self._last
