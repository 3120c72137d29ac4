"""The end of each pod's log."""

from dataclasses import dataclass
from pathlib import Path

MOST_LINES = 300
MOST_BYTES = 64 * 1024  # of one log
MOST_BYTES_IN_ALL = 4 * 1024 * 1024
LONGEST_LINE = 4000


@dataclass(frozen=True, slots=True)
class Tail:
    pod: str
    lines: tuple[str, ...]
    left_out: int  # bytes before them
    path: str  # in the bundle


def read_tails(directory: Path) -> list[Tail]:
    """Of all pods of a cluster, by number."""
    logs = sorted(directory.glob("pod-*/log"), key=lambda log: (len(log.parent.name), str(log)))
    most = min(MOST_BYTES, MOST_BYTES_IN_ALL // max(len(logs), 1))
    return [_tail(log, most) for log in logs]


def _tail(log: Path, most: int) -> Tail:
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(max(0, size - most))
        text = file.read().decode(errors="replace")
    lines = text.splitlines()
    if size > most:
        lines = lines[1:]  # its beginning is missing
    kept = lines[-MOST_LINES:]
    left_out = size - sum(len(line.encode(errors="replace")) + 1 for line in kept)
    shown = tuple(line[:LONGEST_LINE] for line in kept)
    path = f"{log.parent.name}/{log.name}"
    return Tail(log.parent.name, shown, max(0, left_out), path)
