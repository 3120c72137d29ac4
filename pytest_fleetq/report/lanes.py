"""Who did something: pods, workers, clients. A lane of the timeline for each."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_fleetq.report.moments import Moments
from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.records import Happened

SHORT = 8  # characters of a holder's id that tell it from others

_RANKS = {"pod": 0, "worker": 1, "client": 2}
_DEATHS = {
    "lock": "died: its lock was free",
    "silence": "taken for dead: its heartbeat stood still",
}


@dataclass(slots=True)
class Life:
    """One incarnation of a pod or worker."""

    holder: str
    begin: float
    end: float | None = None  # seconds; None: as long as the history
    how: str = ""  # it ended
    line: int = 0


@dataclass(slots=True)
class Leads:
    term: int
    begin: float
    end: float | None = None
    line: int = 0


@dataclass(slots=True)
class Lane:
    name: str
    type: str  # pod, worker, client
    lives: list[Life] = field(default_factory=list)
    leads: list[Leads] = field(default_factory=list)


class Lanes:
    """All lanes of a history; whoever turns up later gets one too.

    Args:
        pods: Names of those known to have run; the journal tells of FLEET-Q's own.
    """

    def __init__(self, history: History, pods: Iterable[str] = ()) -> None:
        self._lanes: dict[str, Lane] = {}
        self._holders: dict[str, Lane] = {}
        self._leading: Leads | None = None
        self._leader = ""
        for name in pods:
            self._lane(name, "pod")
        moments = Moments(history)
        for event in history.fleet:
            self._note(event, moments.of(event))

    def of_holder(self, holder: str) -> str:
        """The name of its lane."""
        if holder not in self._holders:
            self._holders[holder] = self._lane(holder[:SHORT], "worker")
        return self._holders[holder].name

    def of_process(self, process: str) -> str:
        """Threads of one client share a lane."""
        return self._lane(process.partition("/")[0] or "client", "client").name

    def in_order(self) -> list[Lane]:
        """Pods first; by name, numbers in names as numbers."""
        return sorted(self._lanes.values(), key=_place)

    def _lane(self, name: str, type: str) -> Lane:
        return self._lanes.setdefault(name, Lane(name, type))

    def _note(self, event: Happened, moment: float) -> None:
        holder = event.holder or ""
        if event.type == "pod_joined":
            self._join(event, holder, moment)
        elif event.type in ("pod_dead", "pod_left"):
            self._end(event, holder, moment)
        elif event.type == "leader":
            self._stop_leading(moment)
            self._leader = holder
            self._leading = Leads(event.term or 0, moment, line=event.line)
            self._lane_of(holder).leads.append(self._leading)

    def _join(self, event: Happened, holder: str, moment: float) -> None:
        name = str(event.detail.get("name") or holder[:SHORT])
        lane = self._lane(name, str(event.detail.get("type") or "pod"))
        self._holders[holder] = lane
        lane.lives.append(Life(holder, moment, line=event.line))

    def _end(self, event: Happened, holder: str, moment: float) -> None:
        for life in self._lane_of(holder).lives:
            if life.holder == holder and life.end is None:
                proof = str(event.detail.get("proof", ""))
                how = "left" if event.type == "pod_left" else _DEATHS.get(proof, "found dead")
                life.end, life.how = moment, how
        if holder == self._leader:
            self._stop_leading(moment)

    def _stop_leading(self, moment: float) -> None:
        if self._leading is not None:
            self._leading.end = moment
            self._leading = None

    def _lane_of(self, holder: str) -> Lane:
        return self._lanes[self.of_holder(holder)]


def _place(lane: Lane) -> tuple[int, list[tuple[int, str]]]:
    parts = re.split(r"(\d+)", lane.name)
    natural = [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
    return _RANKS.get(lane.type, 1), natural
