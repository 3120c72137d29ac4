"""All that was measured in a test, and the answers to what budgets ask."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import cpu_count

from pytest_fleetq.perf.budget.grammar import Subject
from pytest_fleetq.perf.budget.metrics import EVERY_CALL, MACHINE, TOTAL, About
from pytest_fleetq.perf.measure import calls as figures
from pytest_fleetq.perf.measure.calls import Reading
from pytest_fleetq.perf.measure.history import Call, Happening
from pytest_fleetq.perf.measure.phases import FaultSpan, Phase, Phases
from pytest_fleetq.perf.measure.pods import Run
from pytest_fleetq.perf.measure.recovery import Recovery, recoveries
from pytest_fleetq.perf.measure.steps import CLAIM, STEP
from pytest_fleetq.perf.measure.usage import (
    NEEDS,
    USAGE,
    Usage,
    cpu_seconds,
    rss_growth,
    together,
    usages,
)
from pytest_fleetq.verdict.records import Outcome

LEAST_STEPS = 100  # for what one of them costs
HARNESS = frozenset({"journal"})  # calls of ours


@dataclass(frozen=True)
class Measured:
    """In seconds of the monotonic clock."""

    calls: Sequence[Call] = ()
    faults: Sequence[FaultSpan] = ()
    journal: Sequence[Happening] = ()
    runs: Sequence[Run] = ()
    has_steps: bool = False  # whether any cluster is of FLEET-Q pods
    now: float = 0.0

    @cached_property
    def phases(self) -> Phases:
        return Phases(self.faults)

    @cached_property
    def operations(self) -> Mapping[str, Sequence[Call]]:
        found: dict[str, list[Call]] = defaultdict(list)
        for call in self.calls:
            if call.name not in HARNESS:
                found[call.name].append(call)
        return dict(sorted(found.items()))

    @cached_property
    def recoveries(self) -> Sequence[Recovery]:
        return recoveries(self.faults, self.journal, self.calls_of(""), self.now)

    def calls_of(self, scope: str) -> Sequence[Call]:
        """Of an operation or a pod; without one steps, where there are any, or else all calls."""
        if not scope and self.has_steps:
            scope = STEP
        if scope in ("", EVERY_CALL):
            of_steps = {STEP, CLAIM} if self.has_steps else set()
            return [call for call in self.calls if call.name not in HARNESS | of_steps]
        if scope.startswith("pod-"):
            return [call for call in self.operations.get(STEP, ()) if call.where == scope]
        return self.operations.get(scope, ())

    def read(self, subject: Subject) -> Reading:
        """The figure, in the first unit of its sort, or why there is none."""
        phase = self.phases[subject.phase]
        if not phase.spans:
            return Reading(None, f"not enough data: {self._no_such_phase(subject.phase)}")
        match subject.metric.about:
            case About.CALLS:
                return self._of_calls(subject, phase)
            case About.PODS:
                return self._of_pods(subject, phase)
            case About.FLEET:
                return self._cpu_per_step(subject.scope, phase)
            case About.RECOVERY:
                return self._recovery(subject.name)

    def _of_calls(self, subject: Subject, phase: Phase) -> Reading:
        calls = self.calls_of(subject.scope)
        if not calls:
            there = ", ".join(self.operations) or "none at all"
            name = subject.scope or (STEP if self.has_steps else EVERY_CALL)
            return Reading(None, f"not enough data: no {name!r} was seen; there is {there}")
        match subject.name:
            case "throughput":
                return figures.throughput(calls, phase)
            case "success_rate":
                return figures.success_rate(calls, phase)
            case "errors":
                return figures.errors(calls, phase)
        found = figures.latencies(calls, phase)
        if subject.percent is not None:
            return figures.percentile(found, subject.percent)
        return figures.mean(found) if subject.name == "mean" else figures.longest(found)

    def _of_pods(self, subject: Subject, phase: Phase) -> Reading:
        found = usages(self.runs, phase)
        if subject.scope in (TOTAL, MACHINE):
            return self._of_all_pods(subject, found)
        measure = USAGE[subject.name]
        chosen = {
            pod: value
            for pod, of_pod in found.items()
            if _is_meant(subject.scope, pod) and (value := measure(of_pod)) is not None
        }
        if not chosen:
            return _unwatched(subject, found)
        worst = max(chosen, key=lambda pod: chosen[pod])
        return Reading(chosen[worst], worst)

    def _of_all_pods(self, subject: Subject, found: Mapping[str, Sequence[Usage]]) -> Reading:
        if subject.name == "rss_growth":  # not of the sum, which also grows when a pod is added
            each = [rss_growth(of_pod) or 0.0 for of_pod in found.values()]
            value = sum(each) if each else None
        else:
            value = USAGE[subject.name](together(found))
        if value is None:
            return _unwatched(subject, found)
        share = (cpu_count() or 1) if subject.scope == MACHINE else 1
        return Reading(value / share, f"{len(found)} pods")

    def _cpu_per_step(self, pod: str, phase: Phase) -> Reading:
        done = [
            call
            for call in self.calls_of(pod)
            if call.outcome is Outcome.OK and phase.covers(call.end)
        ]
        if len(done) < LEAST_STEPS:
            return Reading(
                None, f"not enough data: cpu_per_step needs {LEAST_STEPS}, there are {len(done)}"
            )
        found = usages(self.runs, phase)
        used = sum(cpu_seconds(found[name]) for name in found if _is_meant(pod, name))
        return Reading(used / len(done), f"{used:.3g} s for {len(done)}")

    def _recovery(self, name: str) -> Reading:
        found = [(value, one.fault) for one in self.recoveries
                 if (value := getattr(one, name)) is not None]  # fmt: skip
        if not found:
            return Reading(None, f"not enough data: {_WITHOUT[name]}")
        worst, fault = max(found)
        return Reading(worst, f"after {fault}")

    def _no_such_phase(self, name: str) -> str:
        there = ", ".join(fault.name for fault in self.phases.faults) or "none"
        return f"no fault for {{{name}}}; there was {there}"


_WITHOUT = {
    "recovery": "no step of a dead holder was returned",
    "detected": "no holder was declared dead",
    "rerun": "no returned step was claimed again",
    "steady": "before no fault was there 1 s with 100 steps (or calls) done",
}


def _is_meant(scope: str, pod: str) -> bool:
    """All are, without a scope; of several clusters the name of theirs stands before the pod's."""
    return scope in ("", pod.rpartition("/")[2])


def _unwatched(subject: Subject, found: Iterable[str]) -> Reading:
    there = ", ".join(found) or "no pod"
    needs = NEEDS.get(subject.name, "one look at a pod")
    return Reading(None, f"not enough data: {subject.name} needs {needs}; seen: {there}")
