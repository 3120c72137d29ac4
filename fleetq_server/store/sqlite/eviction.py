"""Ending a process that was stopped (SIGSTOP, Ctrl-Z) in the middle of a write.

It holds the gate and SQLite's write lock, and the kernel will not take them from a process that
still exists: without this, one frozen pod would silence the whole host. Frozen past its lease it is
dead to the fleet anyway, so it is killed, which a stopped process cannot resist. A process that
merely waits for a slow disk is not stopped and is left alone.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PATIENCE_SECONDS = 1.0


def evict_stopped(lock_files: Iterable[Path]) -> list[int]:
    """Kills stopped processes that hold one of these locks; returns their ids."""
    inodes = set()
    for path in lock_files:
        with contextlib.suppress(FileNotFoundError):
            inodes.add(path.stat().st_ino)
    evicted = []
    for pid in _flock_owners(inodes):
        if pid != os.getpid() and _is_stopped(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                evicted.append(pid)
    return evicted


@contextlib.contextmanager
def evicting(evict: Callable[[], None]) -> Iterator[None]:
    """Calls `evict` now and then while the body waits, in a thread of its own."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(PATIENCE_SECONDS):
            evict()

    thread = threading.Thread(target=watch, name="fleetq-evicting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _flock_owners(inodes: set[int]) -> set[int]:
    """From lines like `1: FLOCK  ADVISORY  WRITE 1234 fe:01:56789 0 EOF`; waiters have an arrow."""
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()  # not Linux: nothing to go by
    owners = set()
    for line in lines:
        fields = line.split()
        if fields[1] == "FLOCK" and int(fields[5].rpartition(":")[2]) in inodes:
            owners.add(int(fields[4]))
    return {pid for pid in owners if pid > 0}


def _is_stopped(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] in ("T", "t")
