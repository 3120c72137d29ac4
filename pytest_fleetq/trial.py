"""One test with clusters: what it made, what is wrong at its end, and what its report shows.

Loaded when a test asks for `cluster` or `inject_failure`, and not before: it brings gRPC.
"""

import json
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_fleetq.cluster.errors import ClusterError
from pytest_fleetq.cluster.extensions import Extensions
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.request import Request, make_request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.injecting import Injector
from pytest_fleetq.judging import judge_fleet
from pytest_fleetq.verdict import Checker, Judgement, Verdict, choose

FAULTS = "faults.json"

Sections = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class House:
    """What all tests of one pytest process share."""

    session: Session
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
        self.session.close()


@dataclass(frozen=True, slots=True)
class Rules:
    """How the clusters of one test live and are judged."""

    home: str = ""  # the node whose tests share clusters; "": each test has its own
    checkers: tuple[str, ...] = ()  # all default ones if empty
    silence: tuple[str, ...] = ()
    timeout: float = 10.0
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
        self._watch: threading.Timer | None = None
        self.inject = Injector(lambda: self.fleets, house.registry, f"{house.seed}:{nodeid}")

    # --- making clusters ---

    def cluster(self, n_pods: int, **arguments: Any) -> Fleet:
        arguments.setdefault("cwd", self._folder)
        request = make_request(n_pods, **arguments)
        fleet = self._shared(request) if self._rules.home else self._make(request)
        if fleet not in self.fleets:
            self.fleets.append(fleet)
        return fleet

    def _shared(self, request: Request) -> Fleet:
        key = (self._rules.home, repr(request))
        known = self._house.shared.get(key)
        if known is None or known.ended:
            known = self._house.shared[key] = self._make(request)
            self._owned.remove(known)
            self._rules.at_end_of_home(lambda: self._house.end(known))
        return known

    def _make(self, request: Request) -> Fleet:
        run = {"test": self.nodeid, "seed": self._house.seed}
        fleet = Fleet(
            self._house.session, request, extensions=self._house.extensions, run=run,
            timeout=self._rules.timeout,
        )  # fmt: skip
        # Known before it starts: what a failed start leaves is shown and removed like all else.
        self._owned.append(fleet)
        self.fleets.append(fleet)
        fleet.start()
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

    def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        problems = self.inject.heal_all()
        for fleet in self.fleets:
            entries = self.inject.timeline(fleet).entries
            (fleet.directory / FAULTS).write_text(json.dumps(entries, indent=1, default=str))
        for fleet in reversed(self._owned):
            self._house.end(fleet)
        if problems:
            raise ClusterError("; ".join(problems))

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

    def watch(self, limit: float) -> None:
        """Has the pods' logs shown shortly before pytest-timeout ends the test, or the process:
        its method `thread` leaves no time for a report."""
        self._watch = threading.Timer(max(limit - min(2.0, limit / 5), 0.01), self._show)
        self._watch.daemon = True
        self._watch.start()

    def _show(self) -> None:
        for title, text in self.sections():
            sys.stderr.write(f"---- {title} ----\n{text}\n")

    @property
    def verdict(self) -> str:
        return Verdict.worst(judgement.verdict for _, judgement in self.judgements).value

    def sections(self) -> Sections:
        found: Sections = []
        for fleet in self.fleets:
            for pod in fleet.pods:
                found.append(
                    (f"{fleet.name} {pod.name} log", pod.log_tail() or "(it logged nothing)")
                )
            if timeline := self.inject.timeline(fleet).describe():
                found.append((f"{fleet.name} faults", timeline))
        for fleet, judgement in self.judgements:
            found.append((f"{fleet.name} verdict", judgement.describe()))
        found.append(("fleetq reproduce", self.reproduce()))
        return found

    def reproduce(self) -> str:
        kept = [str(fleet.directory) for fleet in self.fleets if self._house.keep]
        where = f"\nkept: {', '.join(kept)}" if kept else ""
        return f"pytest {shlex.quote(self.nodeid)} --fleetq-seed {self._house.seed}{where}"

    def properties(self) -> Mapping[str, object]:
        return {
            "fleetq_seed": self._house.seed,
            "fleetq_pods": sum(len(fleet.pods) for fleet in self.fleets),
            "fleetq_faults": self.inject.number,
            "fleetq_verdict": self.verdict,
        }
