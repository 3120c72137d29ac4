"""`requires_resources`: a test that needs more than there is does not run, and tests that need it
together wait for each other.

Tokens are byte ranges of lock files that all test runs of a user share: one byte per processor,
one per 64 MiB of memory, one per 64 MiB of disk. The kernel gives back what a dead process held.
They are taken all or none, under one lock, so that two waiting tests never hold half each.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_fleetq.markers.amounts import read_amount, tell_amount

UNIT = 64 * 2**20
PAUSE_SECONDS = 0.05

Needs = Mapping[str, int]


def lacking(marked: Mapping[str, Any], folder: Path) -> str:
    """Why this machine cannot run the test, or ""."""
    for program in marked.get("programs", ()):
        if shutil.which(program) is None:
            return f"needs the program {program}, which is not installed"
    there_is = _available(folder)
    for name, needed in _bytes(marked).items():
        if needed > there_is[name]:
            return f"needs {_told(name, needed)}, and there is {_told(name, there_is[name])}"
    return ""


@contextmanager
def tokens(marked: Mapping[str, Any]) -> Iterator[None]:
    """Holds what the test needs; waits while others hold it."""
    needs = {
        name: amount if name == "cpus" else -(-amount // UNIT)
        for name, amount in _bytes(marked).items()
    }
    files = {name: _open(name) for name in needs}
    turnstile = _open("turnstile")
    try:
        while not _take(needs, files, turnstile):
            time.sleep(PAUSE_SECONDS)
        yield
    finally:
        for handle in (*files.values(), turnstile):
            os.close(handle)


def _take(needs: Needs, files: Mapping[str, int], turnstile: int) -> bool:
    total = {
        name: number if name == "cpus" else number // UNIT for name, number in _total().items()
    }
    fcntl.lockf(turnstile, fcntl.LOCK_EX)
    try:
        if all(_take_some(files[name], needs[name], total[name]) for name in needs):
            return True
        for handle in files.values():
            fcntl.lockf(handle, fcntl.LOCK_UN)
        return False
    finally:
        fcntl.lockf(turnstile, fcntl.LOCK_UN)


def _take_some(handle: int, needed: int, total: int) -> bool:
    taken = 0
    for place in range(max(total, needed)):
        if taken == needed:
            break
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            continue
        taken += 1
    return taken == needed


def _open(name: str) -> int:
    folder = Path(tempfile.gettempdir()) / f"fleetq-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return os.open(folder / f"tokens-{name}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _bytes(marked: Mapping[str, Any]) -> Needs:
    known = {name: marked[name] for name in ("cpus", "memory", "disk") if name in marked}
    return {name: read_amount(value) for name, value in known.items()}


def _total() -> Needs:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    disk = shutil.disk_usage(tempfile.gettempdir()).total
    return {"cpus": _processors(), "memory": memory, "disk": disk}


def _available(folder: Path) -> Needs:
    return {**_total(), "disk": shutil.disk_usage(folder).free}


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _told(name: str, amount: int) -> str:
    if name == "cpus":
        return f"{amount} processor{'' if amount == 1 else 's'}"
    return f"{tell_amount(amount)} of {name}"
