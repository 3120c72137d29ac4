"""Who uses a cluster that several processes share.

Two bytes of one file that all test runs of this user have in common stand for each such cluster.
Whoever locks the first is alone in deciding about it: starts it, or leaves it. Each user has a
shared lock on the second, and the cluster's reaper wants that byte for itself: it gets it when the
last user is gone, however it went. The kernel drops the locks of a dead process, and a fork does
not inherit them, as it would inherit flock's or an open pipe.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from pytest_fleetq.cluster.ports import common_folder


class Users:
    """The users of one cluster, as seen by one of them, or by one who wants to be."""

    def __init__(self, cluster: str) -> None:
        self.path = common_folder() / "users"
        digest = hashlib.blake2b(cluster.encode(), digest_size=6).digest()
        self.byte = 2 * int.from_bytes(digest)
        self._file = _open(self.path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, self.byte)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self.byte)

    def enter(self) -> bool:
        """False while the reaper of an earlier cluster is at work."""
        return self._lock(fcntl.LOCK_SH)

    def is_last(self) -> bool:
        """Whether nobody else uses it; to be asked by a user, when alone."""
        return self._lock(fcntl.LOCK_EX)

    def leave(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self.byte + 1)

    def _lock(self, kind: int) -> bool:
        try:
            fcntl.lockf(self._file, kind | fcntl.LOCK_NB, 1, self.byte + 1)
        except OSError:
            return False
        return True


@cache
def _open(path: Path) -> int:
    """Once, and never closed: closing any handle of a file drops all locks a process has on it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
