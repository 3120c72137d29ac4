"""How pods come into being: FLEET-Q pods by fork, everything else by its command."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pytest_fleetq.cluster.errors import BadRequest, PodFailed
from pytest_fleetq.cluster.plan import Command, Launcher, Plan
from pytest_fleetq.cluster.pod import Pod, describe_end
from pytest_fleetq.cluster.readiness import Probe, Probes, Ready, make_probe
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.spawner import Child
from pytest_fleetq.cluster.waiting import FIRST_PAUSE, LONGEST_PAUSE
from pytest_fleetq.faults.clock import faketime

CONTROL_FILE = "faults.json"
PortTaken = ("address already in use", "eaddrinuse", "address in use", "failed to bind")

MakePlan = Callable[[Pod], Plan]


class Starter(Protocol):
    """Starts the pods of one cluster."""

    is_fleetq: bool
    timeout: float

    def plan(self, pod: Pod) -> Plan: ...

    def launch(self, pod: Pod) -> Child: ...

    def await_ready(self, pod: Pod, child: Child, timeout: float) -> None:
        """Raises: PodFailed."""
        ...


class FleetqStarter:
    """Forks a pod from one process that has imported all it needs."""

    is_fleetq = True

    def __init__(
        self,
        session: Session,
        plan: MakePlan,
        *,
        store: str,
        handlers: Sequence[str],
        config: Mapping[str, object] | Path,
        env: Mapping[str, str],
        cwd: Path,
        probe: Probe | None,
        timeout: float,
    ) -> None:
        self.timeout = timeout
        self.plan = plan
        self._session = session
        self._store = store
        self._handlers = handlers
        self._config = config
        self._env = env
        self._cwd = cwd
        self._probe = probe

    def launch(self, pod: Pod) -> Child:
        filled = self.plan(pod)
        # A settings file of the project under test must not change its tests unasked.
        env = {"FLEET_Q_CONFIG": os.devnull, **self._env}
        return self._session.fork(
            {
                "id": pod.name,
                "args": self._flags(pod),
                "env": {name: filled.fill(value) for name, value in env.items()},
                "cwd": str(self._cwd),
                "log": str(pod.log),
            }
        )

    def await_ready(self, pod: Pod, child: Child, timeout: float) -> None:
        heard = child.wait(lambda c: c.over or c.ready is not None, timeout)
        if child.ready is None:
            raise _not_ready(pod, describe_end(child) if heard else _late(self.timeout))
        pod.pod_id, pod.port = child.ready["pod_id"], child.ready["port"]
        if self._probe is not None:
            probe_until_ready(pod, child, self._probe, timeout, _late(self.timeout))

    def _flags(self, pod: Pod) -> list[str]:
        flags = ["--store", self._store, "--listen", f"{pod.host}:{pod.port}", "--name", pod.name]
        settings: Mapping[str, object] = {"faults": pod.directory / CONTROL_FILE}
        if isinstance(self._config, Path):
            flags += ["--config", str(self._config)]
        else:
            settings = {**settings, **self._config}
        for handlers in self._handlers:
            flags += ["--handlers", handlers]
        for name, value in settings.items():
            flags += _flag(name.replace("_", "-"), value)
        return flags


def _flag(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    if isinstance(value, list | tuple):
        return [word for one in value for word in (f"--{name}", str(one))]
    return [f"--{name}", str(value)]


class CommandStarter:
    """Starts any program, by its command or by a launcher."""

    is_fleetq = False

    def __init__(
        self,
        session: Session,
        plan: MakePlan,
        *,
        launcher: Launcher,
        env: Mapping[str, str],
        clock: bool,
        cwd: Path,
        ready: Ready,
        probes: Probes,
        timeout: float,
    ) -> None:
        self.timeout = timeout
        self.plan = plan
        self._session = session
        self._launcher = launcher
        self._env = env
        self._clock = clock
        self._cwd = cwd
        self._ready = ready
        self._probes = probes
        self._probe: Probe = make_probe("started" if ready is None else ready, probes)

    def launch(self, pod: Pod) -> Child:
        plan = self.plan(pod)
        made = self._launcher(plan)
        command = made if isinstance(made, Command) else Command(made)
        if self._ready is None:
            self._probe = make_probe(command.ready or "tcp", self._probes)
        env = {**command.env, **self._env}
        if self._clock:
            env = {**faketime.environment(plan.directory), **env}
        request: dict[str, Any] = {
            "id": pod.name,
            "args": [plan.fill(str(word)) for word in command.args],
            "env": {name: plan.fill(str(value)) for name, value in env.items()},
            "cwd": str(command.cwd or self._cwd),
            "log": str(pod.log),
        }
        return self._session.execute(request)

    def await_ready(self, pod: Pod, child: Child, timeout: float) -> None:
        probe_until_ready(pod, child, self._probe, timeout, _late(self.timeout))


def probe_until_ready(pod: Pod, child: Child, probe: Probe, timeout: float, late: str) -> None:
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        # First: a probe that a stranger on the same port answers says nothing about a dead pod.
        if child.over:
            raise _not_ready(pod, describe_end(child))
        if child.pid is not None and _says_yes(probe, pod) and not child.over:
            return
        if time.monotonic() >= deadline:
            raise _not_ready(pod, late)
        child.wait(lambda c: c.over, pause)
        pause = min(LONGEST_PAUSE, pause * 1.5)


def _says_yes(probe: Probe, pod: Pod) -> bool:
    try:
        return bool(probe(pod))
    except OSError:
        return False  # nobody listens yet


def from_command(command: Sequence[str] | Launcher) -> Launcher:
    if callable(command):
        return command
    if isinstance(command, str) or not command:
        raise BadRequest(f"command={command!r}: give a list, the program first; there is no shell")
    words = tuple(str(word) for word in command)
    return lambda _: words


def lost_its_port(error: PodFailed) -> bool:
    text = str(error).lower()
    return any(words in text for words in PortTaken)


def _late(seconds: float) -> str:
    return f"was not ready within {seconds:g} s"


def _not_ready(pod: Pod, problem: str) -> PodFailed:
    error = pod.failed(problem)
    if pod.is_fleetq and "No module named" in str(error):
        error.add_note("handlers are looked for beside the test, in rootdir and on sys.path")
    return error
