"""A toy queue with bugs to switch on: what the checkers must be able to catch.

A whole fleet in one process, on a virtual clock, from one seed: clients submit and read; pods
claim, run, complete and fail; they crash, freeze, and have their clocks moved. It writes the
history that a real fleet would write. `run(seed, path, bugs)` is the whole interface; the bugs are
in the store it shares.
"""

import random
from pathlib import Path

from fleetq_server.model import StepId
from pytest_fleetq.verdict import Recorder
from tests.plugin.toystore import BEAT_EVERY, DEAD_AFTER, LEASE, RETRY, Bug, Pod, Step, Toy
from tests.plugin.verdict.simulation import Host, Process, Simulation

__all__ = ["GRACE", "Bug", "run"]

PODS = 3
FAULTY_SECONDS = 6.0
CALM_SECONDS = 7.0
GRACE = 3.0


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
