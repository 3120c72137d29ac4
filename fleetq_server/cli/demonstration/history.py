"""What happened, put together from the fleet's own events."""

from dataclasses import dataclass, field

from fleetq_server.model import Event, StepId

ENDS = frozenset({"completed", "dead", "cancelled"})
TYPES = frozenset({"leader", "pod_dead", "claimed", "recovered", "released", "retrying", *ENDS})


@dataclass(frozen=True, slots=True)
class Reign:
    pod_id: str
    term: int
    since: float


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL, as the one who sent it saw it."""

    pod_id: str
    pid: int
    at: float
    ended: int  # steps at an end by then


@dataclass(slots=True)
class History:
    """The events seen so far, of interest to a demonstration. Times are those of the store."""

    reigns: list[Reign] = field(default_factory=list)
    died_at: dict[str, float] = field(default_factory=dict)
    running: dict[StepId, str] = field(default_factory=dict)  # who holds what now
    ended: set[StepId] = field(default_factory=set)
    ended_again: set[StepId] = field(default_factory=set)
    recovered: dict[str, set[StepId]] = field(default_factory=dict)  # from whom
    again_at: dict[StepId, float] = field(default_factory=dict)  # claimed after a recovery
    last_end: float = 0.0
    _waiting_again: set[StepId] = field(default_factory=set)

    @property
    def leader(self) -> str | None:
        return self.reigns[-1].pod_id if self.reigns else None

    def holds_steps(self, pod_id: str) -> bool:
        return pod_id in self.running.values()

    def see(self, event: Event) -> None:
        holder = event.holder or ""
        if event.type == "leader":
            self.reigns.append(Reign(holder, event.term or 0, event.at))
        elif event.type == "pod_dead":
            self.died_at[holder] = event.at
        elif event.type == "claimed":
            self._claimed(event, holder)
        else:
            self._no_longer_claimed(event, holder)

    def _claimed(self, event: Event, holder: str) -> None:
        self.running.update(dict.fromkeys(event.step_ids, holder))
        for step_id in self._waiting_again.intersection(event.step_ids):
            self.again_at[step_id] = event.at
            self._waiting_again.discard(step_id)

    def _no_longer_claimed(self, event: Event, holder: str) -> None:
        for step_id in event.step_ids:
            self.running.pop(step_id, None)
        if event.type == "recovered":
            self.recovered.setdefault(holder, set()).update(event.step_ids)
            self._waiting_again.update(event.step_ids)
        elif event.type in ENDS:
            self.ended_again |= self.ended.intersection(event.step_ids)
            self.ended.update(event.step_ids)
            self.last_end = max(self.last_end, event.at)
