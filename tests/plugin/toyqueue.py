"""A toy queue with bugs to switch on: what the checkers must be able to catch.

A whole fleet in one process, on a virtual clock, from one seed: clients submit and read; pods
claim, run, complete and fail; they crash, freeze, and have their clocks moved. It writes the
history that a real fleet would write. `run(seed, path)` is the whole interface.

Without a bug every change of the store is one indivisible moment. Where a bug is a missing
transaction, the method yields in the middle: there a crash or somebody else may come in between.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import TypeVar

from fleetq_server.model import Event, StepId
from pytest_fleetq.verdict import Recorder
from tests.plugin.verdict.simulation import Host, Process, Simulation

WALL = 1_790_000_000.0
RETRY: dict[str, float] = {
    "max_attempts": 3, "initial_delay": 0.2, "multiplier": 2.0, "max_delay": 5.0, "jitter": 0.1,
}  # fmt: skip
MAX_CRASHES = 3
PODS = 3
BEAT_EVERY = 0.1
DEAD_AFTER = 0.5
LEASE = 0.6
FAULTY_SECONDS = 6.0
CALM_SECONDS = 7.0
GRACE = 3.0

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

    def tell(self, type: str, *steps: StepId, holder: str | None = None, **more: int) -> None:
        self.seq += 1
        queue = "default" if steps else None
        at = WALL + self.sim.now
        self.recorder.event(Event(self.seq, at, type, queue, holder, more.get("term"), steps, {}))

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
            step.due = self.sim.now + delay * self.rng.uniform(0.9, 1.1)
            step.state = "PENDING"
            self.tell("retrying", step.id, holder=step.holder)
        else:
            yield from self.bury(step, "handler_error")
        return True

    def bury(self, step: Step, cause: str) -> Process:
        step.state = "FAILED"
        self.tell("dead", step.id, holder=step.holder)
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
            yield from self.bury(step, "crashed")
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


class Fleet:
    """Pods that live, die and come back, clients, and who disturbs them."""

    def __init__(
        self, seed: int, recorder: Recorder, sim: Simulation, bugs: frozenset[Bug]
    ) -> None:
        self.rng = random.Random(seed)
        self.sim = sim
        self.recorder = recorder
        self.toy = Toy(recorder, sim, self.rng, bugs)
        self.bugs = bugs
        self.outside = Host()
        self.pods = [self.boot(number) for number in range(PODS)]
        self.acknowledged: list[StepId] = []
        self.recovered: set[str] = set()  # the store's note of who was dealt with

    # --- pods ---

    def boot(self, number: int) -> Pod:
        pod = Pod(number, f"pod-{number}.{self.sim.now:.3f}", self.sim.now)
        self.toy.live[pod.name] = pod
        self.toy.tell("pod_joined", holder=pod.name)
        tasks = [self.beat(pod), self.watch(pod), self.work(pod), self.work(pod)]
        for task in tasks:
            self.sim.start(task, pod, after=self.rng.uniform(0.0, 0.05))
        return pod

    def reboot(self, pod: Pod) -> None:
        """The old incarnation is no more; a new one takes its place."""
        pod.up = False
        self.pods[pod.number] = self.boot(pod.number)

    def beat(self, pod: Pod) -> Process:
        while True:
            yield self.rng.uniform(0.0, 0.1)  # the way there: a frozen pod's handlers wake first
            if pod.name not in self.toy.live:
                self.reboot(pod)
                return
            pod.beats += 1
            for step in self.toy.steps.values():
                if step.state == "CLAIMED" and step.holder == pod.name:
                    step.expires = self.toy.wall(pod) + LEASE
            yield BEAT_EVERY

    def watch(self, pod: Pod) -> Process:
        """Who has not been heard of, by this pod's own patience, is dead."""
        heard: dict[str, tuple[int, float]] = {}
        while pod.name in self.toy.live:
            for name, other in list(self.toy.live.items()):
                beats, since = heard.get(name, (-1, 0.0))
                if beats != other.beats:
                    heard[name] = (other.beats, self.sim.now)
                elif self.sim.now - since > DEAD_AFTER:
                    self.toy.declare_dead(name)
            if self.toy.live and self.toy.elect(pod):
                yield from self.lead(pod)
            yield BEAT_EVERY

    def lead(self, pod: Pod) -> Process:
        if Bug.CLOCK_DEPENDENT_LEASE in self.bugs:
            yield from self.toy.sweep_by_the_clock(pod)
            return
        holders = {s.holder for s in self.toy.steps.values() if s.state == "CLAIMED"}
        gone = holders - self.toy.live.keys()
        if Bug.FORGOTTEN_RECOVERY in self.bugs:
            gone -= self.recovered
            self.recovered |= gone
        yield from self.toy.recover(gone)

    def work(self, pod: Pod) -> Process:
        recorder, toy, name = self.recorder, self.toy, pod.name
        while True:
            yield self.rng.uniform(0.01, 0.12)
            if not toy.ready():
                continue  # as a long poll waits
            call = recorder.invoke(name, "claim", {"holder": name})
            step = yield from toy.claim(pod)
            claims = [] if step is None else [{"step_id": step.id, "fence": step.fence}]
            recorder.ok(call, "claim", {"holder": name, "claims": claims})
            if step is not None:
                yield from self.execute(pod, step, step.fence)

    def execute(self, pod: Pod, step: Step, fence: int) -> Process:
        yield self.rng.uniform(0.01, 0.4)
        item = {"step_id": step.id, "fence": fence}
        if self.rng.random() < 0.5:
            name, about = "fail", {**item, "cause": "handler_error", "error": "ValueError"}
        else:
            name, about = "complete", {**item, "result": f"{pod.name}/{fence}"}
        asked = {"holder": pod.name, "items": [about]}
        call = self.recorder.invoke(pod.name, name, asked)
        yield self.rng.uniform(0.0, 0.01)
        if name == "fail":
            accepted = yield from self.toy.fail(step, fence)
        else:
            accepted = self.toy.complete(step, fence, str(about["result"]))
        yield self.rng.uniform(0.0, 0.01)
        about["verdict"] = "ok" if accepted else "superseded"
        self.recorder.ok(call, name, asked)

    # --- clients ---

    def submit(self, client: str) -> Process:
        while self.sim.now < FAULTY_SECONDS:
            yield self.rng.uniform(0.05, 0.4)
            count = self.rng.randint(1, 3)
            asked = {"kind": "work", "queue": "default", "count": count, "retry": RETRY}
            call = self.recorder.invoke(client, "submit", asked)
            pod = self.rng.choice(self.pods)
            yield self.rng.uniform(0.001, 0.01)
            if not pod.up or pod.frozen_until > self.sim.now:
                self.recorder.info(call, "no answer")
                continue
            steps = self.toy.submit(pod, count)
            yield self.rng.uniform(0.001, 0.01)
            if self.rng.random() < 0.1:
                self.recorder.info(call, "the answer was lost")
            else:
                self.recorder.ok(call, "submit", {**asked, "step_ids": steps})
                self.acknowledged += steps

    def read_everything(self) -> None:
        for step_id in self.acknowledged:
            step = self.toy.steps.get(step_id)
            with self.recorder.operation("client-0", "get", step_ids=[step_id]) as operation:
                if step is None:
                    operation.ok(missing=[step_id])
                else:
                    seen = {"step_id": step_id, "state": step.state, "result": step.result}
                    operation.ok(steps=[seen])
        with self.recorder.operation("client-0", "dead") as operation:
            told = [{"step_id": step, "cause": cause} for step, cause in self.toy.dlq.items()]
            operation.ok(steps=told, all=True)
        with self.recorder.operation("harness", "journal", after=0) as operation:
            operation.ok(through=self.toy.seq)

    # --- faults ---

    def disturb(self) -> Process:
        while self.sim.now < FAULTY_SECONDS:
            yield self.rng.uniform(0.1, 0.6)
            pod = self.rng.choice(self.pods)
            fault = self.rng.choice([self.crash, self.crash, self.freeze, self.move_clock])
            self.sim.start(fault(pod), self.outside)

    def crash(self, pod: Pod) -> Process:
        if not pod.up:
            return
        number = self._fault("kill", pod)
        pod.up = False
        yield self.rng.uniform(0.2, 1.5)
        if self.pods[pod.number] is pod:
            self.pods[pod.number] = self.boot(pod.number)
        self.recorder.fault_end(number)

    def freeze(self, pod: Pod) -> Process:
        number = self._fault("pause", pod)
        pod.frozen_until = self.sim.now + self.rng.uniform(0.2, 2.0)
        yield pod.frozen_until - self.sim.now
        self.recorder.fault_end(number)

    def move_clock(self, pod: Pod) -> Process:
        number = self._fault("clock_jump", pod)
        pod.clock_error = self.rng.choice([-60.0, -2.0, 2.0, 60.0])
        yield self.rng.uniform(0.2, 2.0)
        pod.clock_error = 0.0
        self.recorder.fault_end(number)

    def _fault(self, name: str, pod: Pod) -> int:
        number = self.recorder.fault_start(name, f"pod-{pod.number}")
        self.recorder.fault_effect(number, holder=pod.name)
        return number


def run(seed: int, path: Path, bugs: frozenset[Bug] = frozenset()) -> None:
    """One fleet's life under faults and after them, recorded at `path`."""
    sim = Simulation()
    with Recorder(path, clock=lambda: sim.now, run={"seed": seed}) as recorder:
        fleet = Fleet(seed, recorder, sim, bugs)
        for number in range(2):
            sim.start(fleet.submit(f"client-{number}"), fleet.outside)
        sim.start(fleet.disturb(), fleet.outside)
        sim.run(FAULTY_SECONDS + 2.5)
        recorder.phase("calm")
        sim.run(FAULTY_SECONDS + 2.5 + CALM_SECONDS)
        fleet.read_everything()
        recorder.phase("teardown")
