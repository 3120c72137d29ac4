"""Pods as child processes of a command. None of them outlives it, whatever it dies of."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import sysconfig
import tempfile
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import fleetq_server
from fleetq_server.config import PREFIX
from fleetq_server.errors import Unavailable

GRACE_SECONDS = 10.0
LONGEST_COMPLAINT = 2000
TETHERED = "fleetq_server.cli.tethered"
COMMAND = (sys.executable, "-P", "-m", TETHERED, "serve")


@dataclass(frozen=True, slots=True)
class PodProcess:
    pid: int
    pod_id: str
    address: str
    popen: "subprocess.Popen[bytes]"


class Pods:
    """Starts `fleetq serve` processes; as a context manager it also ends them.

    They see neither the FLEET_Q_* variables nor the settings file of whoever runs the command,
    and are a process group each, so that Ctrl-C in a terminal reaches only the command.
    """

    def __init__(self) -> None:
        self.running: list[PodProcess] = []
        self._logs: dict[int, IO[bytes]] = {}
        self._starting: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop_all(0.0 if kind else GRACE_SECONDS)

    def start(
        self,
        n: int,
        *,
        store_url: str,
        handlers: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        ready_timeout: float = 10.0,
        ready: Callable[[int], None] = lambda _: None,
        directory: Path | None = None,
        module: str = TETHERED,
    ) -> list[PodProcess]:
        """Starts n pods and waits until all of them serve.

        Args:
            n: How many.
            store_url: The store they share.
            handlers: Modules by name.
            settings: Further settings by their names, as text.
            ready_timeout: Seconds for all of them together.
            ready: Hears how many of them serve already.
            directory: Where they run; handlers found there come before installed ones.
            module: What runs them, with the same arguments.

        Raises:
            Unavailable: one ended or did not get ready; tells what it complained of.
        """
        command = [
            sys.executable,
            "-m",
            module,
            "serve",
            "--store",
            store_url,
        ]
        for name in handlers:
            command += ["--handlers", name]
        environment = _environment(settings or {})
        self._starting = [self._spawn(command, environment, directory) for _ in range(n)]
        deadline = time.monotonic() + ready_timeout
        pods: list[PodProcess] = []
        for popen in self._starting:
            pods.append(self._await_ready(popen, deadline))
            ready(len(pods))
        self._starting = []
        self.running += pods
        return pods

    def kill(self, pod: PodProcess) -> None:
        """SIGKILL; returns when the process is gone."""
        pod.popen.kill()
        pod.popen.wait()
        self._gone(pod)

    def stop_all(self, grace: float = GRACE_SECONDS) -> None:
        """Asks all pods to drain; kills those that have not ended after `grace` seconds."""
        all_of_them = [*self._starting, *(pod.popen for pod in self.running)]
        for popen in all_of_them:
            popen.terminate() if grace > 0 else popen.kill()
        deadline = time.monotonic() + grace
        for popen in all_of_them:
            try:
                popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()
            self._close(popen)
        self._starting = []
        self.running = []

    def log(self, pod: PodProcess) -> str:
        """The end of what a pod, running or not stopped in good order, wrote to standard error."""
        return self._complaint(pod.popen)

    def _spawn(
        self, command: list[str], environment: dict[str, str], directory: Path | None
    ) -> "subprocess.Popen[bytes]":
        log = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the pod is gone
        popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # see tethered.py
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            cwd=directory,
            process_group=0,
        )
        self._logs[popen.pid] = log
        return popen

    def _await_ready(self, popen: "subprocess.Popen[bytes]", deadline: float) -> PodProcess:
        line = _first_line(popen, deadline)
        if not line.endswith(b"\n"):
            ended = popen.poll()
            what = "is not ready in time" if ended is None else f"ended with code {ended}"
            complaint = self._complaint(popen).splitlines() or ["it said nothing"]
            raise Unavailable(f"pod {popen.pid} {what}: {complaint[-1]}")
        ready = json.loads(line)
        return PodProcess(popen.pid, ready["pod_id"], ready["address"], popen)

    def _complaint(self, popen: "subprocess.Popen[bytes]") -> str:
        log = self._logs.get(popen.pid)
        if log is None:
            return ""
        size = os.fstat(log.fileno()).st_size
        # Not seek and read: the file position is the child's too.
        tail = os.pread(log.fileno(), LONGEST_COMPLAINT, max(0, size - LONGEST_COMPLAINT))
        return tail.decode(errors="replace").strip()

    def _gone(self, pod: PodProcess) -> None:
        self._close(pod.popen)
        self.running = [other for other in self.running if other.pid != pod.pid]

    def _close(self, popen: "subprocess.Popen[bytes]") -> None:
        for stream in (popen.stdin, popen.stdout, self._logs.pop(popen.pid, None)):
            if stream is not None:
                stream.close()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    given = {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}
    quiet = {f"{PREFIX}LOG_LEVEL": "WARNING", f"{PREFIX}LOG_FORMAT": "console"}
    found = {"PYTHONPATH": _python_path(kept.get("PYTHONPATH", ""))}
    return {**kept, **found, f"{PREFIX}CONFIG": os.devnull, **quiet, **given}


def _python_path(path: str) -> str:
    """With where this package was found, unless that is where packages are looked for anyway: a
    module in there must not come before one of the standard library."""
    here = str(Path(fleetq_server.__file__).parents[1])
    installed = here in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    return path if installed else os.pathsep.join(filter(None, (here, path)))


def _first_line(popen: "subprocess.Popen[bytes]", deadline: float) -> bytes:
    """Its first line of output, or what there is of it by the deadline or its end."""
    assert popen.stdout is not None
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(popen.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            more = os.read(popen.stdout.fileno(), 4096)
            if not more:
                # Its output is closed: it is ending.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    popen.wait(max(0.0, deadline - time.monotonic()))
                break
            line += more
    return line
