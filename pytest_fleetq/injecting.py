"""`inject_failure`: faults by name into the clusters of a test, healed and proven at its end."""

import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pytest_fleetq.cluster.errors import BadRequest
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.pod import Pod
from pytest_fleetq.faults.base import PodView
from pytest_fleetq.faults.errors import FaultError, FaultUnavailable
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.nemesis import Inject, Nemesis
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.faults.schedule import Draw, Schedule
from pytest_fleetq.faults.targets import Target, choose
from pytest_fleetq.timeline import Timeline

PLAN = "schedule.json"
GIVEN_PLAN = "FLEETQ_SCHEDULE"


class Injector:
    """What the fixture `inject_failure` gives."""

    def __init__(self, fleets: Callable[[], list[Fleet]], registry: Registry, seed: str) -> None:
        self._fleets = fleets
        self._registry = registry
        self._rng = Random(seed)
        self._active: list[tuple[Fleet, Injection]] = []
        self._timelines: dict[Fleet, Timeline] = {}
        self._nemeses: list[Nemesis] = []
        self._scheduled: list[Injection] = []
        self.seed = seed

    def __call__(
        self,
        name: str,
        target: Target = "all",
        *,
        duration: float | None = None,
        cluster: Fleet | None = None,
        **settings: object,
    ) -> Injection:
        """Makes a fault happen; it is in force when the call returns.

        Args:
            name: Which fault; `fleetq` documentation has the catalogue, and a wrong name is
                answered with the nearest.
            target: A pod, several, or words: "leader", "minority", "random:2", "all", "pod-1".
            duration: Seconds after which it heals by itself.
            cluster: Which one is meant by words, if the test has several; the newest otherwise.
            settings: The fault's own.

        Returns:
            A handle with `heal()`, which is also a context manager. What is not healed by then is
            healed at the end of the test, in reverse.

        Raises:
            UnknownFault, BadSetting, BadTarget: what is asked for is not to be had.
            pytest.skip: This machine cannot have the fault; the reason is told.
        """
        kind = self._registry.get(name)
        fault = self._registry.make(name, **settings)
        if reason := kind.unavailable():
            pytest.skip(f"fault {name!r} is not available: {reason}")
        fleet = cluster or self._fleet_of(target)
        _check_own(fleet)
        if kind.needs_links and not fleet.request.with_links:
            raise BadRequest(
                f"fault {name!r} needs proxies between the pods: cluster(…, links=True)"
            )
        pods = choose(fleet, target, self._rng)
        injection = Injection(fault, pods, record=self.timeline(fleet).record, duration=duration)
        self._expect_ends(fleet, injection)
        self._active.append((fleet, injection))
        try:
            return injection.start(fleet)
        except FaultUnavailable as reason:
            self._active.remove((fleet, injection))
            pytest.skip(f"fault {name!r} is not available: {reason}")

    def schedule(
        self,
        faults: Sequence[str | Draw],
        *,
        duration: float,
        rate: float = 1.0,
        seed: int | None = None,
        cluster: Fleet | None = None,
    ) -> Nemesis:
        """Plans faults from a seed and injects them beside the test, until its end at the latest.

        The plan is written to `schedule.json` in the cluster's folder; FLEETQ_SCHEDULE=FILE runs
        such a file instead, which is how `fleetq shrink` tries smaller ones.

        Args:
            faults: Names, or `pytest_fleetq.faults.schedule.Draw` for settings and targets.
            duration: Seconds.
            rate: Injections a second to expect of each fault.
            seed: One of its own; that of the test, from --fleetq-seed, unless given.
            cluster: Which one; the newest unless given.

        Returns:
            The nemesis, running: `wait()` until it is over, or `stop()` it.

        Raises:
            UnknownFault: as for a single fault.
            pytest.skip: This machine cannot have one of the faults.
        """
        plan = self._plan(faults, duration, rate, seed)
        for name in {planned.fault for planned in plan.injections}:
            if reason := self._registry.get(name).unavailable():
                pytest.skip(f"fault {name!r} is not available: {reason}")
        fleet = cluster or self._fleet_of("all")
        _check_own(fleet)
        (fleet.directory / PLAN).write_text(plan.to_json())
        nemesis = Nemesis(plan, fleet, self._inject_scheduled(fleet))
        self._nemeses.append(nemesis)
        return nemesis.start()

    def timeline(self, fleet: Fleet) -> Timeline:
        if fleet not in self._timelines:
            self._timelines[fleet] = Timeline(fleet.history, fleet.began)
        return self._timelines[fleet]

    @property
    def number(self) -> int:
        """How many faults were injected."""
        return len(self._active)

    def heal_all(self) -> list[str]:
        """Heals what is not healed yet, the latest first. → what went wrong"""
        problems = []
        for nemesis in self._nemeses:
            try:
                nemesis.stop()
            except Exception as error:
                problems.append(f"the schedule stopped early: {error}")
        for _, injection in reversed(self._active):
            try:
                injection.heal()
            except Exception as error:
                problems.append(f"fault {injection.fault.name!r} did not heal: {error}")
        return problems

    def check_effects(self) -> list[str]:
        """→ which faults show no effect, or failed where nobody could be told"""
        problems = []
        if self._scheduled and not any(injection.evidence for injection in self._scheduled):
            problems.append("nothing shows that any fault of the schedule took effect")
        for _, injection in self._active:
            # By chance one of many may hit nothing: a pod that was down, a link nobody used.
            if injection in self._scheduled:
                continue
            try:
                injection.check_effect()
            except (FaultError, OSError) as error:
                problems.append(str(error))
        return problems

    def _plan(
        self, faults: Sequence[str | Draw], duration: float, rate: float, seed: int | None
    ) -> Schedule:
        if told := os.environ.get(GIVEN_PLAN):
            return Schedule.from_json(Path(told).read_text())
        chosen = zlib.crc32(self.seed.encode()) if seed is None else seed
        return Schedule.plan(faults, duration=duration, rate=rate, seed=chosen)

    def _inject_scheduled(self, fleet: Fleet) -> Inject:
        def inject(name: str, target: Sequence[PodView], /, **settings: Any) -> Injection:
            injection = self(name, target, cluster=fleet, **settings)
            self._scheduled.append(injection)
            return injection

        return inject

    def _fleet_of(self, target: Target) -> Fleet:
        fleets = self._fleets()
        if not fleets:
            raise BadRequest("no cluster was made yet that could fail")
        wanted = list(target) if isinstance(target, list | tuple) else [target]
        for fleet in fleets:
            if any(pod in wanted for pod in fleet.pods):
                return fleet
        return fleets[-1]

    def _expect_ends(self, fleet: Fleet, injection: Injection) -> None:
        """A pod that ends under a fault does what it should; one without a fault does not."""
        chosen = {pod.name for pod in injection.pods}
        for pod in fleet.pods:
            if isinstance(pod, Pod) and pod.name in chosen:
                pod.expected_to_end = True


def _check_own(fleet: Fleet) -> None:
    if fleet.is_common:
        raise BadRequest(
            "other tests use this cluster at the same time: a test with faults needs one of its "
            "own, by @pytest.mark.fleetq(scope='function')"
        )
