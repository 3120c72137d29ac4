"""Runs a schedule beside a test: starts and heals its injections in time."""

import heapq
import threading
import time
from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Protocol, Self

from pytest_fleetq.faults.base import FleetView, PodView
from pytest_fleetq.faults.errors import BadTarget
from pytest_fleetq.faults.schedule import Planned, Schedule
from pytest_fleetq.faults.targets import choose

STOP_SECONDS = 30.0  # an injection that is just starting may take as long


class Healable(Protocol):
    def heal(self) -> None: ...


class Inject(Protocol):
    """As `inject_failure`."""

    def __call__(self, name: str, target: Sequence[PodView], /, **settings: object) -> Healable: ...


class Nemesis:
    """One run of a schedule, in a thread of its own. As a context manager it is stopped at the end
    of the block."""

    def __init__(self, schedule: Schedule, fleet: FleetView, inject: Inject) -> None:
        self.schedule = schedule
        self.missed: list[
            tuple[Planned, str]
        ] = []  # not injected, and why: no such pod at the time
        self._fleet = fleet
        self._inject = inject
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._active: list[tuple[float, int, Healable]] = []  # a heap, by when they end
        self._thread = threading.Thread(target=self._run, name="nemesis", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> bool:
        """Until the schedule is over. → whether it is; raises what went wrong in it"""
        self._thread.join(timeout)
        if self._error is not None:
            raise self._error
        return not self.running

    def stop(self) -> None:
        """Starts nothing more and heals all, the latest first; raises what went wrong in it."""
        self._stop.set()
        if not self.wait(STOP_SECONDS):
            raise TimeoutError(f"a fault of the schedule hangs for more than {STOP_SECONDS:g} s")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._play()
        except BaseException as error:  # `wait` and `stop` tell it
            self._error = error
        finally:
            self._heal_all()

    def _play(self) -> None:
        began = time.monotonic()
        for number, planned in enumerate(self.schedule.injections):
            if not self._until(began, planned.at):
                return
            self._begin(planned, number)
        self._until(began, self.schedule.duration)

    def _until(self, began: float, at: float) -> bool:
        """Heals in time what ends until then. → whether to go on"""
        while self._active and self._active[0][0] <= at:
            if self._stop.wait(began + self._active[0][0] - time.monotonic()):
                return False
            heapq.heappop(self._active)[2].heal()
        return not self._stop.wait(began + at - time.monotonic())

    def _begin(self, planned: Planned, number: int) -> None:
        try:
            pods = choose(self._fleet, planned.target, Random(planned.seed))
        except BadTarget as error:
            self.missed.append((planned, str(error)))
            return
        handle = self._inject(planned.fault, pods, **planned.settings)
        heapq.heappush(self._active, (planned.ends, number, handle))

    def _heal_all(self) -> None:
        for _, _, handle in sorted(self._active, key=lambda one: one[1], reverse=True):
            try:
                handle.heal()
            except Exception as error:
                self._error = self._error or error
