"""Runs commands of somebody else's, and leaves nothing of them behind."""

import os
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import psutil

from pytest_fleetq.cluster import reaper
from pytest_fleetq.cluster.errors import ClusterError
from pytest_fleetq.cluster.spawner import Spawner
from pytest_fleetq.perf.errors import NoData

# What the caller's shell exports must not lead a commit to another one's code.
LEAKS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
LOG_TAIL = 2000
KILL_ROUNDS = 10
KILL_SECONDS = 5.0


class Ended(NamedTuple):
    """Attributes: status: None if it could not be started, or was killed for taking too long."""

    status: int | None
    seconds: float
    cpu_seconds: float  # of it and all processes it started
    log: str

    def complaint(self, what: str) -> str:
        why = "did not end" if self.status is None else f"ended with {self.status}"
        said = f"; it said:\n{self.log}" if self.log else ", and said nothing"
        return f"{what} {why} after {self.seconds:.1f} s{said}"


class Processes:
    """Starts commands one after the other, through a process that ends whatever they leave.

    Closed, or left alone because we were killed ourselves, it ends the command that runs, with all
    that it started, and removes the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._started = 0
        command = [sys.executable, "-I", "-S", reaper.__file__, uuid.uuid4().hex, str(directory)]
        env = {name: value for name, value in os.environ.items() if name not in LEAKS}
        self._spawner = Spawner(command, env, directory / "reaper.log")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._spawner.close()

    def execute(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        output: Path | None = None,
    ) -> Ended:
        """
        Args:
            timeout: In seconds; then it is killed.
            output: Where its standard output goes; into `Ended.log` as well unless given.
        """
        self._started += 1
        log = self._directory / f"log-{self._started}"
        begun, before = time.monotonic(), self._cpu_seconds()
        request = {
            "id": str(self._started),
            "args": list(command) if output is None else _redirected(command, output),
            "cwd": str(cwd),
            "env": dict(env),
            "log": str(log),
        }
        try:
            child = self._spawner.spawn(request)
        except ClusterError as error:
            raise NoData(str(error)) from None
        in_time = child.wait(lambda child: child.over, timeout)
        seconds = time.monotonic() - begun
        self._end_leftovers()
        said = log.read_text(errors="replace").strip()[-LOG_TAIL:] if log.exists() else ""
        status = child.status if in_time else None
        return Ended(status, seconds, self._cpu_seconds() - before, child.error or said)

    def _end_leftovers(self) -> None:
        """Whatever a command leaves running would disturb the next one."""
        for _ in range(KILL_ROUNDS):  # what was just being started is found in the next one
            left = self._reaper.children(recursive=True)
            for process in left:
                process.kill()
            psutil.wait_procs(left, KILL_SECONDS)
            if not left:
                return

    def _cpu_seconds(self) -> float:
        used = self._reaper.cpu_times()
        return float(used.children_user + used.children_system)

    @property
    def _reaper(self) -> psutil.Process:
        return psutil.Process(self._spawner.pid)


def _redirected(command: Sequence[str], output: Path) -> list[str]:
    return ["/bin/sh", "-c", 'exec "$@" >"$0"', str(output), *command]
