"""A disk that fails for a process that knows nothing of it: strace makes its system calls fail.

It is attached while the fault lasts and slows the process down, so never measure meanwhile. A file
counts if the process has it open when the fault starts; what goes through io_uring or a memory map
is not seen.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.base import PodView
from pytest_fleetq.faults.errors import FaultError, FaultUnavailable
from pytest_fleetq.faults.names import counted
from pytest_fleetq.faults.tether import tethered
from pytest_fleetq.faults.waiting import until

WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync", "sync_file_range")
_ACTED = re.compile(r"\((INJECTED|DELAYED)\)$", re.MULTILINE)


@functools.cache
def unavailable() -> str | None:
    """Why processes cannot be traced here, or None."""
    if not sys.platform.startswith("linux"):
        return "strace is only on Linux"
    if shutil.which("strace") is None:
        return "strace is not installed"
    # Whether another child of ours may be traced depends on Yama, on who we are, and on what a
    # container permits: only trying tells.
    with subprocess.Popen(["sleep", "60"]) as victim:
        command = ["strace", "-qq", "-o", os.devnull, "-p", str(victim.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            until(lambda: _is_traced(victim.pid) or tracer.poll() is not None, "strace attaches")
            refused = tracer.poll() is not None
            tracer.terminate()
            _, said = tracer.communicate()
        victim.kill()
    return f"strace may not trace other processes here: {said.strip()}" if refused else None


def _is_traced(thread: int) -> bool:
    return proc.status(thread, "TracerPid") not in {"", "0"}


class Strace:
    """Attached to one pod."""

    def __init__(self, pod: PodView, calls: Sequence[str], what: str, path: str = "") -> None:
        """`what` is done to these system calls on `path`, or on every regular file that the pod has
        open: `error=EIO`, `delay_enter=1000` (µs). Returns when every thread is traced."""
        self._pod = pod
        self._folder = tempfile.TemporaryDirectory(prefix="fleetq-strace-")
        self._log = Path(self._folder.name) / "calls"
        self._said = Path(self._folder.name) / "said"
        files = [Path(path)] if path else proc.written_files(pod.pid)
        if not files:
            self._folder.cleanup()
            raise FaultUnavailable(
                f"{pod.name} has no regular file open that could fail; name a `path`"
            )
        command = ["strace", "-f", "-o", str(self._log), "-p", str(pod.pid)]
        for file in files:
            command += ["-P", str(file)]
        names = ",".join(f"?{call}" for call in calls)  # not every machine has all of them
        command += ["-e", f"trace={names}", "-e", f"inject={names}:{what}"]
        with self._said.open("w") as said:
            self._process = subprocess.Popen(tethered(command), stderr=said, process_group=0)
        try:
            until(self._attached, f"strace traces {pod.name}", 5.0)
        except BaseException:
            self.detach()
            raise

    def _attached(self) -> bool:
        ended = self._process.poll() is not None
        said = self._said.read_text(errors="replace")
        if ended:
            raise FaultError(f"strace ended: {said.strip()}")
        # The kernel names a tracer before that one has stopped the thread, which may go on writing
        # for a moment: strace says so once all have been told to stop.
        return f"Process {self._pod.pid} attached" in said and all(
            _is_traced(thread) for thread in proc.threads(self._pod.pid)
        )

    def detach(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(5.0)
        if Path(self._folder.name).exists():
            self._hits = self.hits()
            self._folder.cleanup()

    def hits(self) -> int:
        """System calls that it made fail, or delayed."""
        if self._log.exists():
            return len(_ACTED.findall(self._log.read_text(errors="replace")))
        return getattr(self, "_hits", 0)


class Traced:
    """The pods that one injection traces."""

    def __init__(self) -> None:
        self._traced: list[tuple[PodView, Strace]] = []

    def attach(self, pod: PodView, calls: Sequence[str], what: str, path: str) -> None:
        if reason := unavailable():
            raise FaultUnavailable(reason)
        self._traced.append((pod, Strace(pod, calls, what, path)))

    def detach(self) -> None:
        for _, strace in self._traced:
            strace.detach()

    def effect(self, what: str) -> str | None:
        found = [(pod.name, strace.hits()) for pod, strace in self._traced]
        return ", ".join(f"{name}: {what} {counted(n, 'time')}" for name, n in found if n) or None
