"""A false clock for pods that are not FLEET-Q: libfaketime, if it is installed (the extra `clock`)
and the pod was started with `environment`. Statically linked programs escape it.

Only wall time is faked. The library reads its orders from a file at every look at the clock, and
that it does is the evidence.
"""

import ctypes
import os
import struct
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.base import PodView
from pytest_fleetq.faults.errors import FaultError, FaultUnavailable
from pytest_fleetq.faults.waiting import until

NAME = "faketime"
LOADED_SECONDS = 2.0
TRUE = "+0 x1"  # the rate stays as it was unless it is said

_IN_OPEN = 0x20
_EVENT = struct.Struct("iIII")


def library() -> Path | None:
    found = find_spec("libfaketime")
    if found is None or found.origin is None or not sys.platform.startswith("linux"):
        return None
    return next(Path(found.origin).parent.rglob("libfaketime.so.1"), None)


def environment(directory: Path) -> Mapping[str, str]:
    """What a pod with this folder must be started with, so that its clock can be faked. Empty if
    libfaketime is not installed."""
    found = library()
    if found is None:
        return {}
    if not (directory / NAME).exists():  # one that is started again has the orders it had
        _order(directory, TRUE)
    return {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(directory / NAME),
        "FAKETIME_FMT": "%s",
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class FalseClock:
    """One pod's."""

    def __init__(self, pod: PodView) -> None:
        if library() is None:
            raise FaultUnavailable(
                f"the clock of {pod.name} needs libfaketime: pip install 'pytest-fleetq[clock]'"
            )
        if not _obeys(pod):
            raise FaultError(
                f"{pod.name} does not obey libfaketime: start its cluster with clock=True, and a "
                "program that is not linked statically"
            )
        self.pod = pod
        self._reads = Opens()

    def jump(self, seconds: float) -> None:
        self._tell(f"{seconds:+.6f} x1")

    def drift(self, rate: float) -> None:
        # To libfaketime the rate has been so since the process began, which is known to a few
        # hundredths of a second; the offset makes it so since now.
        self._tell(f"{_age(self.pod.pid) * (1 - rate):+.6f} x{rate:.9f}")

    def freeze(self) -> None:
        self._tell(f"{time.time():.0f}")

    def heal(self) -> None:
        self._reads.look()  # what was read before now was false
        self._reads.close()
        _order(self.pod.directory, TRUE)

    @property
    def reads(self) -> int:
        """How often the pod was told a false time."""
        return self._reads.look()

    def _tell(self, order: str) -> None:
        new = _written(self.pod.directory, order)
        self._reads.follow(new)  # before the pod can see it: not one look is missed
        new.replace(self.pod.directory / NAME)


def _obeys(pod: PodView) -> bool:
    if not (pod.directory / NAME).exists():
        return False
    maps = proc.PROC / str(pod.pid) / "maps"
    try:  # a program that has just been started may not have loaded it yet
        until(lambda: "libfaketime" in maps.read_text(), "libfaketime is loaded", LOADED_SECONDS)
    except FaultError:
        return False
    return True


def _order(directory: Path, order: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    _written(directory, order).replace(directory / NAME)


def _written(directory: Path, order: str) -> Path:
    new = directory / f"{NAME}.new"
    new.write_text(order + "\n")
    return new


def _age(pid: int) -> float:
    found = proc.stat(pid)
    assert found is not None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - found.born / os.sysconf("SC_CLK_TCK")


class Opens:
    """Counts how often one file is opened, by inotify, whatever name it gets."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._handle < 0:
            raise _no_inotify()
        self._followed = -1
        self._count = 0
        self._closed = False

    def follow(self, file: Path) -> None:
        """From now on it is this file, and none before."""
        self._followed = self._libc.inotify_add_watch(self._handle, os.fsencode(file), _IN_OPEN)
        if self._followed < 0:
            raise _no_inotify()
        self._count = 0

    def look(self) -> int:
        while not self._closed:
            try:
                events = os.read(self._handle, 65_536)
            except BlockingIOError:
                break
            self._count += _opened(events, self._followed)
        return self._count

    def close(self) -> None:
        if not self._closed:
            os.close(self._handle)
            self._closed = True


def _no_inotify() -> FaultUnavailable:
    return FaultUnavailable(f"inotify: {os.strerror(ctypes.get_errno())}")


def _opened(events: bytes, followed: int) -> int:
    count = at = 0
    while at < len(events):
        watch, mask, _, length = _EVENT.unpack_from(events, at)
        at += _EVENT.size + length
        count += watch == followed and bool(mask & _IN_OPEN)
    return count
