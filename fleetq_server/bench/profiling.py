"""Flame graphs of measured pods, one SVG file each.

py-spy draws them, if it is installed and may look into other processes, from the moment a pod is
ready. Otherwise a thread in each pod writes down what the others do (`profiled.py`); cProfile, the
obvious choice, is made for one thread, keeps no stacks, and slows its calls severalfold.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

from fleetq_server.bench.flames import draw, read_stacks
from fleetq_server.cli.spawn import TETHERED

PROFILED = "fleetq_server.bench.profiled"
STACKS_VARIABLE = "FLEETQ_PROFILE"  # the folder that profiled pods write their stacks to
STACKS = ".stacks"
PER_SECOND = 100
PATIENCE_SECONDS = 10.0


class Profiler(Protocol):
    """How pods are watched while they are measured."""

    how: str

    @property
    def module(self) -> str:
        """What runs the pods."""
        ...

    def attend(self, pids: Sequence[int]) -> None:
        """Watches pods that have just become ready."""
        ...

    def finish(self) -> list[Path]:
        """When all pods have ended. → the pictures"""
        ...


_current: ContextVar[Profiler | None] = ContextVar("profiler", default=None)


def current() -> Profiler | None:
    return _current.get()


@contextlib.contextmanager
def profiled(directory: Path, name: str, scratch: Path) -> Iterator[Profiler]:
    """Profiles all pods that a Fleet starts within."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob(f"{name}-pod-*.svg"):  # an earlier run may have had more pods
        old.unlink()
    spy = find_spy()
    profiler = Spied(spy, directory, name) if spy else Sampled(directory, name, scratch)
    token = _current.set(profiler)
    try:
        with profiler:
            yield profiler
    finally:
        _current.reset(token)


def find_spy() -> str | None:
    """py-spy, if it works here: as root, or where Yama lets processes of one user look at each
    other."""
    beside = Path(sys.executable).parent
    spy = shutil.which("py-spy", path=os.pathsep.join((os.environ.get("PATH", ""), str(beside))))
    if spy is None:
        return None
    tried = subprocess.run([spy, "dump", "--pid", str(os.getpid())], capture_output=True)
    return spy if tried.returncode == 0 else None


class Spied:
    module = TETHERED

    def __init__(self, spy: str, directory: Path, name: str) -> None:
        self.how = f"py-spy, {PER_SECOND} times a second"
        self._command = [spy, "record", "--format", "flamegraph", "--rate", str(PER_SECOND)]
        self._target = directory / name
        self._running: dict[Path, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> None:
        """Nothing runs yet."""

    def __exit__(self, *_: object) -> None:
        for popen in self._running.values():
            popen.kill()
            popen.communicate()

    def attend(self, pids: Sequence[int]) -> None:
        for pid in pids:
            picture = _picture(self._target, len(self._running) + 1)
            popen = subprocess.Popen(
                [*self._command, "--pid", str(pid), "--output", str(picture)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            self._running[picture] = popen
            assert popen.stdout is not None
            popen.stdout.readline()  # "Sampling process …": it sees the pod from now on

    def finish(self) -> list[Path]:
        """It ends with the pod; one that does not is asked to."""
        for popen in self._running.values():
            try:
                popen.communicate(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                popen.send_signal(signal.SIGINT)
                popen.communicate()
        return [picture for picture in self._running if picture.exists()]


class Sampled:
    module = PROFILED
    how = f"processor time by a thread of the pod, {PER_SECOND} times a second"

    def __init__(self, directory: Path, name: str, scratch: Path) -> None:
        self._target = directory / name
        self._scratch = scratch
        self._pids: list[int] = []

    def __enter__(self) -> None:
        os.environ[STACKS_VARIABLE] = str(self._scratch)

    def __exit__(self, *_: object) -> None:
        del os.environ[STACKS_VARIABLE]

    def attend(self, pids: Sequence[int]) -> None:
        self._pids += pids

    def finish(self) -> list[Path]:
        pictures = []
        for number, pid in enumerate(self._pids, 1):
            stacks = read_stacks(self._scratch / f"{pid}{STACKS}")
            if stacks:
                picture = _picture(self._target, number)
                title = f"{picture.stem}: {self.how}"
                picture.write_text(draw(stacks, title), encoding="utf-8")
                pictures.append(picture)
        return pictures


def _picture(target: Path, number: int) -> Path:
    return target.with_name(f"{target.name}-pod-{number}.svg")
