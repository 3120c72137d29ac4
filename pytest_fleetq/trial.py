"""One test with clusters: what it made, what is wrong at its end, and what its report shows.

Loaded when a test asks for `cluster` or `inject_failure`, and not before: it brings gRPC.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq import doubts
from pytest_fleetq.cluster.common import Common, Wishes
from pytest_fleetq.cluster.errors import ClusterError
from pytest_fleetq.cluster.extensions import Extensions
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.identity import identity
from pytest_fleetq.cluster.request import Request, make_request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.stacks import doing
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.injecting import Injector
from pytest_fleetq.judging import judge_fleet
from pytest_fleetq.keeping import environment_of, leave
from pytest_fleetq.lastwords import LastWords
from pytest_fleetq.report.bundle import PAGE
from pytest_fleetq.report.environment import Environment
from pytest_fleetq.report.store import StoreNotCopied
from pytest_fleetq.report.terminal import explained, log_tail
from pytest_fleetq.report.verdicts import NOT_TOLD, Ended
from pytest_fleetq.verdict import Checker, Judgement, Verdict, choose

Sections = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class House:
    """What all tests of one pytest process share."""

    session: Session
    common: Common
    extensions: Extensions
    registry: Registry
    checkers: Sequence[Checker]
    seed: int
    keep: bool
    ready: Callable[[Fleet], object] = lambda _: None
    ending: Callable[[Fleet], object] = lambda _: None
    shared: dict[tuple[str, str], Fleet] = field(default_factory=dict)

    def end(self, fleet: Fleet) -> None:
        if not fleet.ended:
            self.ending(fleet)
            fleet.close()

    def close(self) -> None:
        self.common.close()
        self.session.close()


@dataclass(frozen=True, slots=True)
class Rules:
    """How the clusters of one test live and are judged."""

    home: str = ""  # the node whose tests share clusters; "": each test has its own
    common: bool = False  # all tests of the run share them, also those of other processes
    checkers: tuple[str, ...] = ()  # all default ones if empty
    silence: tuple[str, ...] = ()
    timeout: float = 10.0
    follow: bool = True  # record the fleet's events as they happen; otherwise at the end
    again: str = ""  # the line for the shell that runs the test as it ran
    at_end_of_home: Callable[[Callable[[], object]], object] = lambda _: None


class Trial:
    def __init__(self, house: House, nodeid: str, folder: Path, rules: Rules) -> None:
        self.nodeid = nodeid
        self.fleets: list[Fleet] = []
        self.judgements: list[tuple[Fleet, Judgement]] = []
        self.doubts: list[str] = []  # what could not be told
        self._house = house
        self._folder = folder
        self._rules = rules
        self._owned: list[Fleet] = []
        self._run = {"test": nodeid, "seed": house.seed}
        self._last_words: LastWords | None = None
        self._ended = Ended()
        self.inject = Injector(lambda: self.fleets, house.registry, f"{house.seed}:{nodeid}")

    @property
    def session(self) -> Session:
        return self._house.session

    # --- making clusters ---

    def cluster(self, n_pods: int, **arguments: Any) -> Fleet:
        arguments.setdefault("cwd", self._folder)
        request = make_request(n_pods, **arguments)
        fleet = self._find_or_make(request)
        if fleet not in self.fleets:
            self.fleets.append(fleet)
        return fleet

    def _find_or_make(self, request: Request) -> Fleet:
        if self._rules.common:
            wishes = Wishes(self._rules.timeout, self._house.keep, self._run)
            return self._house.common.fleet(request, wishes)
        return self._shared(request) if self._rules.home else self._make(request)

    def _shared(self, request: Request) -> Fleet:
        key = (self._rules.home, identity(request))
        known = self._house.shared.get(key)
        if known is None or known.ended:
            known = self._house.shared[key] = self._make(request)
            self._owned.remove(known)
            self._rules.at_end_of_home(lambda: self._house.end(known))
        return known

    def _make(self, request: Request) -> Fleet:
        fleet = Fleet(
            self._house.session, request, extensions=self._house.extensions, run=self._run,
            timeout=self._rules.timeout,
        )  # fmt: skip
        # Known before it starts: what a failed start leaves is shown and removed like all else.
        self._owned.append(fleet)
        self.fleets.append(fleet)
        fleet.start()
        if self._rules.follow:
            fleet.follow_journal()
        self._house.ready(fleet)
        return fleet

    # --- the end ---

    def conclude(self) -> list[str]:
        """Heals all faults and judges what happened. → what is wrong, most telling first"""
        problems = self.inject.heal_all()
        problems += self.inject.check_effects()
        for fleet in self.fleets:
            for pod in fleet.ended_unasked():
                problems.append(
                    f"{pod.name} {pod.about_its_end()}, though neither the test nor a fault asked "
                    "it to; if that is meant: cluster(…, allow_exits=True)"
                )
            problems += self._judge(fleet)
        return problems

    def heard(self, report: pytest.TestReport, more: Sections) -> None:
        """What pytest says of one phase of the test; a failure counts before all else."""
        if report.failed and self._ended.outcome != "failed":
            sections = tuple((str(title), str(text)) for title, text in more)
            self._ended = Ended("failed", report.longreprtext, sections=sections)
        elif self._ended.outcome in (NOT_TOLD, "passed") and report.when != "teardown":
            self._ended = Ended(report.outcome)

    def close(self) -> None:
        self.survived()
        problems = self.inject.heal_all()
        kept = [(fleet, self._environment(fleet)) for fleet in self.fleets if self._house.keep]
        for fleet in reversed(self._owned):
            self._house.end(fleet)
        for fleet, environment in kept:
            try:
                leave(fleet, environment, self._end_of(fleet), self.inject.timeline(fleet).entries)
            except (OSError, StoreNotCopied) as error:
                problems.append(f"what {fleet.name} leaves is not whole: {error}")
        if problems:
            raise ClusterError("; ".join(problems))

    def _environment(self, fleet: Fleet) -> Environment:
        return environment_of(fleet, self.nodeid, self._house.seed, self._rules.again)

    def _end_of(self, fleet: Fleet) -> Ended:
        checkers = [
            one for judged, found in self.judgements if judged is fleet for one in found.results
        ]
        return replace(self._ended, checkers=tuple(checkers))

    def _judge(self, fleet: Fleet) -> list[str]:
        checkers = self._checkers(fleet)
        if not checkers or fleet.ended:
            return []
        judgement = judge_fleet(fleet, checkers)
        self.judgements.append((fleet, judgement))
        if judgement.verdict is Verdict.FAIL:
            return [judgement.describe()]
        if judgement.verdict is Verdict.UNKNOWN:
            self.doubts.append(judgement.describe())
        return []

    def _checkers(self, fleet: Fleet) -> Sequence[Checker]:
        """The default ones know FLEET-Q; other programs are judged by those named."""
        names = self._rules.checkers or None
        if names is None and not fleet.is_fleetq:
            return ()
        return choose(names, silence=self._rules.silence, extra=self._house.checkers)

    # --- what people see ---

    def ends_at(self, deadline: float) -> None:
        """Shortly before this moment it has to say what it waits for."""
        self._last_words = LastWords(deadline, self._waits_for)

    def survived(self) -> None:
        if self._last_words is not None:
            self._last_words.cancel()

    def _waits_for(self) -> Sections:
        found = self.sections()  # first: stacks are written into the same logs
        for fleet in self.fleets:
            found += [(f"{fleet.name} {pod.name} is doing", doing(pod)) for pod in fleet.pods]
        return found

    @property
    def verdict(self) -> str:
        return Verdict.worst(judgement.verdict for _, judgement in self.judgements).value

    def sections(self) -> Sections:
        found: Sections = []
        for fleet in self.fleets:
            for pod in fleet.pods:
                found.append((f"{fleet.name} {pod.name} log", log_tail(pod.log, len(fleet.pods))))
            if timeline := self.inject.timeline(fleet).describe():
                found.append((f"{fleet.name} faults", timeline))
        for fleet, judgement in self.judgements:
            found.append((f"{fleet.name} verdict", explained(judgement, fleet.history.path)))
        found.append(("fleetq reproduce", self.reproduce()))
        return found

    def reproduce(self) -> str:
        kept = [fleet.directory / PAGE for fleet in self.fleets if self._house.keep]
        return "\n".join([self._rules.again, *(f"report: {page}" for page in kept)])

    def properties(self) -> Mapping[str, object]:
        unknown = {doubts.PROPERTY: "\n".join(self.doubts)} if self.doubts else {}
        return {
            "fleetq_seed": self._house.seed,
            "fleetq_pods": sum(len(fleet.pods) for fleet in self.fleets),
            "fleetq_faults": self.inject.number,
            "fleetq_verdict": self.verdict,
            **unknown,
        }
