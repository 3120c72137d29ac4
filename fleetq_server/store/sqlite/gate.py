"""A fair turn at the database file for every process of the host.

SQLite's own waiting is polling with growing pauses: a pod in a hurry starves the others for
seconds. A plain flock is better, but the process that has just let go is the one that is
running, so it tends to win the next round too. Here two locks make a turnstile: whoever wants
to write first takes the entrance, then the gate, then frees the entrance. A process that
leaves the gate finds somebody else already inside the entrance, and must queue behind.

The lock files lie beside the database, never in it: closing any descriptor of the database
itself would drop SQLite's own POSIX locks.
"""

import fcntl
import os
from pathlib import Path


class Gate:
    """Not for use by two threads at once."""

    def __init__(self, database: Path) -> None:
        self.paths = (Path(f"{database}.entrance"), Path(f"{database}.gate"))
        self._entrance, self._gate = map(_open, self.paths)

    def __enter__(self) -> None:
        fcntl.flock(self._entrance, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._gate, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._entrance, fcntl.LOCK_UN)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._entrance)
        os.close(self._gate)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
