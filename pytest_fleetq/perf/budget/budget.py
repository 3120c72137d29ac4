"""`perf_budget`: what a test may cost, and whether it kept to that."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pytest_fleetq.cluster.errors import BadRequest, ClusterError
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.perf.budget.grammar import Threshold, read_subject, read_threshold
from pytest_fleetq.perf.budget.report import figures, measurements
from pytest_fleetq.perf.budget.verdict import describe, judge
from pytest_fleetq.perf.load.load import MAX_LAG, Load, make_plan
from pytest_fleetq.perf.measure.history import Call, Story, read_story
from pytest_fleetq.perf.measure.measure import Measured
from pytest_fleetq.perf.measure.pods import PodProcess, Watch
from pytest_fleetq.perf.measure.steps import calls_apart, lives
from pytest_fleetq.report.measurements import FILE, Budget
from pytest_fleetq.verdict import Verdict


class NotEnoughData(ClusterError):
    """There is no figure, and why."""


class PerfBudget:
    """What the fixture `perf_budget` gives. Pods are watched from here on, to the test's end."""

    def __init__(
        self, session: Session, fleets: Callable[[], Sequence[Fleet]], expressions: Iterable[object]
    ) -> None:
        self.thresholds: list[Threshold] = []
        self.loads: list[tuple[Fleet, Load]] = []
        self.judged: list[Budget] = []
        self._session = session
        self._test_fleets = fleets
        self._more: list[Fleet] = []
        self._since = time.monotonic()
        self._measured: Measured | None = None
        self._watch = Watch(self._pods)
        self._watch.start()
        self(*expressions)

    def __call__(self, *expressions: object) -> None:
        """Adds thresholds; they are judged when the test's body is over.

        Args:
            expressions: Such as "claim.p99 <= 50ms" or "claim.p99{during_fault} <= 2s".

        Raises:
            BadBudget: one that cannot be read; names the column and what is allowed there.
        """
        self.thresholds += [read_threshold(expression) for expression in expressions]

    def load(
        self,
        *,
        rate: float,
        duration: float,
        mix: Mapping[str, float] | None = None,
        cluster: Fleet | None = None,
        timeout: float = 10.0,
        max_lag: float = MAX_LAG,
        **settings: Any,
    ) -> Load:
        """Calls the pods at a fixed rate, whether they answer or not, from a process of its own
        and past any proxies; it runs when this returns, and is waited for at the test's end.

        Args:
            rate: Calls a second.
            duration: Seconds.
            mix: Share of each operation: "submit", "get", "stats" (FLEET-Q pods), or
                "module:function", a function, async or not, that is given a
                `pytest_fleetq.perf.load.calls.Turn`; what it raises is an error.
                Only submits, unless given.
            cluster: Which one, if the test has several; the newest otherwise.
            timeout: Seconds a call may take.
            max_lag: Seconds that the driver itself may be late (p99). A load whose driver was
                later proves nothing, and fails the test's thresholds about calls.
            settings: For submits `kind`, `payload`, `queue` and `batch` (steps in each); for
                functions of your own whatever JSON can carry.

        Raises:
            BadRequest: arguments that cannot be had. LoadFailed: the driver did not start.
        """
        fleet = cluster or self._newest()
        plan = make_plan(fleet, rate, duration, mix, timeout, settings)
        load = Load(self._session, fleet, plan, max_lag)
        self.loads.append((fleet, load))
        return load.start()

    def value(self, expression: str) -> float:
        """A figure as it stands now: the left side of a threshold, such as "claim.p99".

        Returns:
            Seconds, bytes, percent, or so many a second.

        Raises:
            BadBudget: nobody can read that. NotEnoughData: too little was seen for a figure.
        """
        self._watch.look()
        found = self._measure().read(read_subject(expression))
        if found.value is None:
            raise NotEnoughData(f"{expression}: {found.note}")
        return found.value

    def watch(self, cluster: Fleet) -> None:
        """Measures a cluster that the fixture `cluster` did not make."""
        self._more.append(cluster)

    # --- the end, called by the plugin ---

    def end_loads(self, *, at_once: bool) -> list[str]:
        """→ what is wrong with them"""
        problems = []
        for _, load in self.loads:
            if at_once:
                load.stop()
            try:
                load.wait()
            except ClusterError as error:
                problems.append(str(error))
        return [] if at_once else problems

    def conclude(self) -> list[str]:
        """Judges all thresholds, and writes down what was measured. → those that do not hold"""
        self._watch.stop()
        self._measured = measured = self._measure()
        invalid = [load for _, load in self.loads if load.problem]
        doubt = f"{invalid[0].plan.name} proves nothing" if invalid else ""
        self.judged = [judge(threshold, measured, doubt) for threshold in self.thresholds]
        for fleet in self._fleets():
            told = measurements(measured, self.judged, fleet.began)
            (fleet.directory / FILE).write_text(told.to_json())
        broken = [one for one in self.judged if one.verdict is not Verdict.PASS]
        whys = [load.problem for load in invalid] if broken else []
        return [*whys, *(f"budget {describe(one)}" for one in broken)]

    def close(self) -> None:
        self._watch.stop()
        for _, load in self.loads:
            load.stop()

    def properties(self) -> Mapping[str, object]:
        """For JUnit: each threshold's verdict, and the figures of calls and pods."""
        told = {f"budget {one.expression}": describe(one) for one in self.judged}
        return told if self._measured is None else {**told, **figures(self._measured)}

    def told(self) -> Mapping[str, list[str]]:
        """Plain words, for the report of the test: they must reach xdist's controller."""
        return {
            "budgets": [describe(one) for one in self.judged],
            "loads": [load.describe() for _, load in self.loads],
        }

    # --- measuring ---

    def _measure(self) -> Measured:
        now = time.monotonic()
        stories = {fleet: self._story(fleet, now) for fleet in self._fleets()}
        calls: list[Call] = []
        for fleet, story in stories.items():
            calls += calls_apart(story) if fleet.is_fleetq else story.calls
            calls += lives(story, self._since, now, own=fleet.is_common)
        events = [event for story in stories.values() for event in story.journal]
        return Measured(
            calls,
            [fault for story in stories.values() for fault in story.faults],
            sorted(events, key=lambda event: event.at),
            self._watch.runs,
            any(fleet.is_fleetq for fleet in stories),
            now,
        )

    def _story(self, fleet: Fleet, now: float) -> Story:
        if not fleet.ended:
            with suppress(ClusterError):
                fleet.drain_journal()
        return read_story(fleet.history.path, self._since, now)

    def _fleets(self) -> list[Fleet]:
        return list(dict.fromkeys([*self._test_fleets(), *self._more]))

    def _newest(self) -> Fleet:
        fleets = self._fleets()
        if not fleets:
            raise BadRequest("load: no cluster was made yet")
        return fleets[-1]

    def _pods(self) -> list[tuple[str, PodProcess]]:
        """Those of a second cluster have its name before theirs."""
        return [
            (f"{fleet.directory.name}/{pod.name}" if number else pod.name, pod)
            for number, fleet in enumerate(self._fleets())
            for pod in fleet.pods
        ]
