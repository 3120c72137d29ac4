"""A load while it runs, from the side of the test."""

import base64
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pytest_fleetq.cluster.errors import BadRequest, ClusterError
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.waiting import until
from pytest_fleetq.perf.load.plan import BUILT_IN, PLAN, RESULT, STARTED, LoadResult, Plan

DRIVER = "pytest_fleetq.perf.load.driver"
START_SECONDS = 30.0
GRACE_SECONDS = 20.0  # beyond its duration and its last call's timeout
MAX_LAG = 0.050


class LoadFailed(ClusterError):
    """The driver could not do its work; its last lines tell why."""


class Load:
    """Runs beside the test from the moment it is made; `wait()` until it is over, or use it as a
    context manager, which waits at its end."""

    def __init__(self, session: Session, fleet: Fleet, plan: Plan, max_lag: float) -> None:
        self._folder = _make_folder(fleet.directory)
        self.plan = replace(plan, name=self._folder.name)
        self.result: LoadResult | None = None
        self._max_lag = max_lag
        (self._folder / PLAN).write_text(self.plan.to_json())
        self._child = session.execute(
            {
                "id": self.plan.name,
                "args": [sys.executable, "-m", DRIVER, str(self._folder)],
                "cwd": str(fleet.request.cwd or Path.cwd()),
                "env": {"PYTHONPATH": session.environment()["PYTHONPATH"]},
                "log": str(self._folder / "log"),
            }
        )

    def start(self) -> Self:
        """Waits for its first call. Raises: LoadFailed."""
        started = self._folder / STARTED
        until(started.exists, f"{self.plan.name} starts", START_SECONDS, self._check)
        return self

    def wait(self) -> LoadResult:
        """Until all calls were answered or given up. Raises: LoadFailed."""
        if self.result is None:
            longest = self.plan.duration + self.plan.timeout + GRACE_SECONDS
            if not self._child.wait(lambda child: child.over, longest):
                self.stop()
                raise LoadFailed(f"{self.plan.name} still ran after {longest:g} s")
            self._check()
            self.result = LoadResult.from_json((self._folder / RESULT).read_text())
        return self.result

    def stop(self) -> None:
        """Ends it at once, with whatever it had under way."""
        if not self._child.over and self._child.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._child.pid, signal.SIGKILL)
            self._child.wait(lambda child: child.over, GRACE_SECONDS)

    @property
    def problem(self) -> str:
        """Why nothing can be concluded from it, or ""."""
        if self.result is None:
            return f"{self.plan.name} did not come to its end"
        found = self.result.problem(self._max_lag)
        return f"{self.plan.name} proves nothing: {found}" if found else ""

    def describe(self) -> str:
        plan, result = self.plan, self.result
        if result is None:
            return f"{plan.name}: {plan.rate:g}/s for {plan.duration:g} s did not end"
        return (
            f"{plan.name}: {plan.rate:g}/s for {plan.duration:g} s, {result.calls} calls, "
            f"{result.errors} errors; the driver was late by {1000 * result.lag_p99:.2g} ms (p99; "
            f"at most {1000 * self._max_lag:g} ms allowed)"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.wait()
        else:
            self.stop()

    def _check(self) -> None:
        if self._child.over and self._child.status != 0:
            said = (self._folder / "log").read_text(errors="replace").strip()
            raise LoadFailed(f"{self.plan.name} failed: {said[-2000:] or self._child.error}")


def make_plan(
    fleet: Fleet, rate: float, duration: float, mix: Mapping[str, float] | None,
    timeout: float, settings: Mapping[str, Any],
) -> Plan:  # fmt: skip
    """Raises: BadRequest for what cannot be."""
    for word, value in (("rate", rate), ("duration", duration), ("timeout", timeout)):
        if not 0 < value < float("inf"):
            raise BadRequest(f"load: {word}={value!r} must be a number above 0")
    chosen = _mix(mix, fleet)
    told = dict(settings)
    if not set(chosen).isdisjoint({"submit", "get"}):
        told = _about_steps(told, chosen)
    addresses = [f"{pod.host}:{pod.port}" for pod in fleet.pods if pod.alive]
    plan = Plan("", addresses, rate, duration, chosen, str(fleet.history.path), told, timeout)
    try:
        plan.to_json()
    except TypeError as error:
        raise BadRequest(f"load: its settings go to another process, as JSON: {error}") from None
    return plan


def _mix(mix: Mapping[str, float] | None, fleet: Fleet) -> Mapping[str, float]:
    if mix is None and fleet.is_fleetq:
        return {"submit": 1.0}
    for name, share in (mix or {}).items():
        if ":" not in name and name not in BUILT_IN:
            raise BadRequest(
                f"load: mix names {name!r}; there is {', '.join(BUILT_IN)} and `module:function`"
            )
        if name in BUILT_IN and not fleet.is_fleetq:
            raise BadRequest(f"load: {name!r} is for FLEET-Q pods; name a `module:function`")
        if not 0 < share < float("inf"):
            raise BadRequest(f"load: the share of {name!r} must be a number above 0, not {share!r}")
    if not mix:
        raise BadRequest("load: mix= must say what to call, such as {'my_calls:read': 1}")
    return mix


def _about_steps(told: dict[str, Any], mix: Mapping[str, float]) -> dict[str, Any]:
    if "submit" not in mix:
        raise BadRequest("load: 'get' asks for steps that 'submit' made: give that a share too")
    if not told.get("kind"):
        raise BadRequest("load: kind= must say which steps to submit")
    payload = told.get("payload", b"")
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {**told, "payload": base64.b64encode(data).decode()}


def _make_folder(parent: Path) -> Path:
    """A new one: tests that share a cluster share its folder, also from several processes."""
    for number in count(1):
        folder = parent / f"load-{number}"
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError("numbers do not end")
