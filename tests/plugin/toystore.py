"""The store of the toy queue, with bugs to switch on, and the journal it keeps.

Without a bug every change is one indivisible moment. Where a bug is a missing transaction, the
method yields in the middle: there a crash or somebody else may come in between.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import TypeVar

from fleetq_server.model import Event, StepId
from pytest_fleetq.verdict import Recorder
from tests.plugin.verdict.simulation import Host, Process, Simulation

WALL = 1_790_000_000.0
RETRY: dict[str, float] = {
    "max_attempts": 3, "initial_delay": 0.2, "multiplier": 2.0, "max_delay": 5.0, "jitter": 0.1,
}  # fmt: skip
MAX_CRASHES = 3
BEAT_EVERY = 0.1
DEAD_AFTER = 0.5
LEASE = 0.6

T = TypeVar("T")
Moments = Generator[float, None, T]  # takes its time, and gives a T


class Bug(StrEnum):
    DOUBLE_CLAIM = auto()  # looks for a step and takes it in two moments
    LOST_ACKNOWLEDGEMENT = auto()  # acknowledges a submit before it is stored
    NON_ATOMIC_DLQ_MOVE = auto()  # ends the step and fills the DLQ in two moments
    MISSING_FENCE = auto()  # a write needs a claimed step, but not the claim
    UNBOUNDED_RETRY = auto()  # forgets to compare with max_attempts
    CLOCK_DEPENDENT_LEASE = auto()  # judges others' leases by its own wall clock
    FORGOTTEN_RECOVERY = auto()  # notes that a holder is dealt with before it is


@dataclass
class Step:
    id: StepId
    state: str = "PENDING"
    due: float = 0.0
    failures: int = 0
    crashes: int = 0
    fence: int = 0
    holder: str = ""
    expires: float = 0.0  # by the wall clock of its holder
    result: str | None = None


@dataclass
class Pod(Host):
    """One incarnation."""

    number: int
    name: str
    born: float
    beats: int = 0
    clock_error: float = 0.0
    unstored: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        Host.__init__(self)


class Toy:
    """The store, and the journal it keeps."""

    def __init__(
        self, recorder: Recorder, sim: Simulation, rng: random.Random, bugs: frozenset[Bug]
    ) -> None:
        self.recorder = recorder
        self.sim = sim
        self.rng = rng
        self.bugs = bugs
        self.steps: dict[StepId, Step] = {}
        self.dlq: dict[StepId, str] = {}  # step → cause
        self.live: dict[str, Pod] = {}
        self.term = 0
        self.leader = ""
        self.seq = 0
        self.ids = 0

    def tell(
        self,
        type: str,
        *steps: StepId,
        holder: str | None = None,
        term: int | None = None,
        **detail: str | float,
    ) -> None:
        self.seq += 1
        queue = "default" if steps else None
        at = WALL + self.sim.now
        self.recorder.event(Event(self.seq, at, type, queue, holder, term, steps, detail))

    def submit(self, pod: Pod, count: int) -> list[StepId]:
        steps = [Step(StepId(self.ids + n)) for n in range(1, count + 1)]
        self.ids += count
        if Bug.LOST_ACKNOWLEDGEMENT in self.bugs:
            pod.unstored += steps
            self.sim.start(self._store_later(pod), pod, after=0.05)
        else:
            self._store(steps)
        return [step.id for step in steps]

    def _store_later(self, pod: Pod) -> Process:
        self._store(pod.unstored)
        pod.unstored.clear()
        yield from ()

    def _store(self, steps: list[Step]) -> None:
        if steps:
            self.steps.update({step.id: step for step in steps})
            self.tell("submitted", *(step.id for step in steps))

    def ready(self) -> Step | None:
        now = self.sim.now
        due = (one for one in self.steps.values() if one.state == "PENDING" and one.due <= now)
        return next(due, None)

    def claim(self, pod: Pod) -> Moments[Step | None]:
        if pod.name not in self.live:
            return None
        step = self.ready()
        if step is None:
            return None
        if Bug.DOUBLE_CLAIM in self.bugs:
            yield 0.003
        step.state, step.holder, step.fence = "CLAIMED", pod.name, self.rng.getrandbits(40)
        step.expires = self.wall(pod) + LEASE
        self.tell("claimed", step.id, holder=pod.name)
        return step

    def wall(self, pod: Pod) -> float:
        return self.sim.now + pod.clock_error

    def holds(self, step: Step, fence: int) -> bool:
        return step.state == "CLAIMED" and (fence == step.fence or Bug.MISSING_FENCE in self.bugs)

    def complete(self, step: Step, fence: int, result: str) -> bool:
        if not self.holds(step, fence):
            return False
        step.state, step.result = "COMPLETED", result
        self.tell("completed", step.id)
        return True

    def fail(self, step: Step, fence: int) -> Moments[bool]:
        if not self.holds(step, fence):
            return False
        step.failures += 1
        if step.failures < RETRY["max_attempts"] or Bug.UNBOUNDED_RETRY in self.bugs:
            delay = RETRY["initial_delay"] * RETRY["multiplier"] ** (step.failures - 1)
            delay *= self.rng.uniform(0.9, 1.1)
            step.state, step.due = "PENDING", self.sim.now + delay
            self.tell("retrying", step.id, holder=step.holder, delay=delay, delay_by="policy")
        else:
            yield from self.bury(step, "handler_error", "ValueError")
        return True

    def bury(self, step: Step, cause: str, error: str) -> Process:
        step.state = "FAILED"
        self.tell("dead", step.id, holder=step.holder, cause=cause, error=error)
        if Bug.NON_ATOMIC_DLQ_MOVE in self.bugs:
            yield 0.05
        self.dlq[step.id] = cause

    def declare_dead(self, name: str) -> None:
        if self.live.pop(name, None) is not None:
            self.tell("pod_dead", holder=name)

    def recover(self, holders: set[str]) -> Process:
        """Takes back what these dead holders held."""
        if Bug.FORGOTTEN_RECOVERY in self.bugs and holders:
            yield 0.05
        for step in list(self.steps.values()):
            if step.state == "CLAIMED" and step.holder in holders:
                yield from self._take_back(step)

    def _take_back(self, step: Step) -> Process:
        step.crashes += 1
        if step.crashes >= MAX_CRASHES:
            yield from self.bury(step, "crashed", "Crashed")
        else:
            step.state, step.due = "PENDING", self.sim.now
            self.tell("recovered", step.id, holder=step.holder)

    def sweep_by_the_clock(self, pod: Pod) -> Process:
        for step in list(self.steps.values()):
            if step.state == "CLAIMED" and step.expires < self.wall(pod):
                yield from self._take_back(step)

    def elect(self, pod: Pod) -> bool:
        """Whether this pod leads; it begins a new term if the old leader is gone."""
        if self.leader not in self.live:
            eldest = min(self.live.values(), key=lambda one: (one.born, one.name))
            if eldest is not pod:
                return False
            self.term, self.leader = self.term + 1, pod.name
            self.tell("leader", holder=pod.name, term=self.term)
        return self.leader == pod.name
