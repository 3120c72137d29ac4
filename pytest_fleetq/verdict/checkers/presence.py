"""Who is there at the end of a history, and what they do. No checker."""

from collections.abc import Sequence

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.records import Happened, Trace


class Presence:
    def __init__(self, history: History, left: Sequence[Trace]) -> None:
        self._history = history
        self._paused: dict[str | None, bool] = {}
        self._joined: dict[str, Happened] = {}
        self._names: dict[str, str] = {}
        self.gone: dict[str, Happened] = {}
        for event in history.fleet:
            self._note(event)
        last = [trace.events[-1] for trace in left]
        self._holding = {event.holder for event in last if event.type == "claimed"}

    def _note(self, event: Happened) -> None:
        holder = event.holder or ""
        if event.type in ("paused", "resumed"):
            self._paused[event.queue] = event.type == "paused"
        elif event.type == "pod_joined":
            self._joined[holder] = event
            self._names[holder] = str(event.detail.get("name", ""))
        elif event.type in ("pod_dead", "pod_left"):
            self.gone[holder] = event
            self._joined.pop(holder, None)
        elif event.type == "pod_draining":
            self._joined.pop(holder, None)

    @property
    def pods(self) -> bool:
        """Whether any pod is there: workers take back nothing."""
        return any(event.detail.get("type", "pod") == "pod" for event in self._joined.values())

    def idle_for(self, trace: Trace, latest: float) -> str:
        """Somebody who ran steps of its kind and queue before, and did nothing since `latest`;
        empty if there is nobody, or the queue is paused."""
        queue = next((event.queue for event in trace.events if event.queue is not None), None)
        if self._paused.get(queue, False):
            return ""
        wanted = (queue, None if trace.asked is None else trace.asked.kind)
        able = {self._program(holder) for holder in self._history.ran.get(wanted, ())}
        for holder in self._joined:
            if self._program(holder) in able and self._idle(holder, latest):
                return holder
        return ""

    def _idle(self, holder: str, latest: float) -> bool:
        active = self._history.active.get(holder, 0.0)
        return holder not in self._holding and max(active, self._joined[holder].seen) <= latest

    def _program(self, holder: str) -> str:
        """A pod that began anew, under another id, runs what it ran before."""
        return self._names.get(holder) or holder
