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
from collections.abc import Callable
from pathlib import Path


class Gate:
    """Not for use by two threads at once."""

    before_waiting: Callable[[], None] = staticmethod(lambda: None)
    contended = False  # whether the turn that came last had to be waited for

    def __init__(self, database: Path) -> None:
        self.paths = (Path(f"{database}.entrance"), Path(f"{database}.gate"))
        self._entrance, self._gate = map(_open, self.paths)

    def __enter__(self) -> None:
        self.contended = False
        self._take(self._entrance)
        try:
            self._take(self._gate)
        finally:
            fcntl.flock(self._entrance, fcntl.LOCK_UN)

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.contended = True
            self.before_waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._gate, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._entrance)
        os.close(self._gate)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
