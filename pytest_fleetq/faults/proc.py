"""What the kernel tells about a process, in /proc."""

import os
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    state: str  # R, S, D, T (stopped), t (stopped, while traced), Z (dead, not yet reaped), …
    cpu_seconds: float
    born: int  # ticks since boot; with the pid it tells a process from a later one of that number


def stat(pid: int) -> Stat | None:
    """None if there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return Stat(fields[0], (int(fields[11]) + int(fields[12])) / _TICKS, int(fields[19]))


def state(pid: int) -> str:
    found = stat(pid)
    return found.state if found else ""


def is_gone(pid: int, born: int) -> bool:
    """Whether the process that was born then has ended; its number may be another's by now."""
    found = stat(pid)
    return found is None or found.born != born or found.state in "ZX"


def status(pid: int, key: str) -> str:
    """A line of /proc/PID/status, "" if it or the process is not there."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:")]
    return found[0] if found else ""


def _numbers(folder: Path) -> list[int]:
    try:
        return sorted(int(entry.name) for entry in folder.iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return []


def threads(pid: int) -> list[int]:
    return _numbers(PROC / str(pid) / "task")


def all_stopped(pid: int) -> bool:
    """Whether no thread of it runs any more: each stops at its own next chance."""
    return all(state(thread) in {"T", "t", ""} for thread in threads(pid))


def descriptors(pid: int) -> list[int]:
    return _numbers(PROC / str(pid) / "fd")


def written_files(pid: int) -> list[Path]:
    """Regular files it has open, but for what its standard streams go to."""
    standard = {_target(pid, number) for number in (0, 1, 2)}
    found = {_target(pid, number) for number in descriptors(pid)} - standard
    return sorted(path for path in found if path.is_file())


def _target(pid: int, descriptor: int) -> Path:
    try:
        return (PROC / str(pid) / "fd" / str(descriptor)).readlink()
    except OSError:
        return Path()
