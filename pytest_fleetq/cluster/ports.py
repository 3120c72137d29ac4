"""Ports for programs that must be told theirs.

FLEET-Q pods bind port 0 and say what they got. A program that takes `--port N` cannot: to bind 0,
read and close would be a guess: the kernel hands the number to the next who asks, and a pod that
restarts needs its old port free. So these ports come from below the kernel's ephemeral range,
which no bind of 0 and no outgoing connection gets, and are claimed among all test runs of this
user by a byte-range lock on one file: byte N is port N. The kernel drops a dead process's locks.
A stranger may still sit on a port: it is tried by binding it, and a pod that then reports it taken
is started again elsewhere.
"""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from pytest_fleetq.cluster.errors import ClusterError

LOWEST = 10_000
RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL = 32_768


class Ports:
    """The ports claimed by this process."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._file = os.open(common_folder() / "ports", os.O_RDWR | os.O_CREAT, 0o600)
        self._mine: set[int] = set()

    def claim(self) -> int:
        """A free port that is nobody else's until `give_back`, or our end."""
        candidates = range(LOWEST, _ephemeral_from())
        for port in random.sample(candidates, len(candidates)):
            if port not in self._mine and self._claim(port):
                self._mine.add(port)
                return port
        raise ClusterError(f"no free port from {candidates.start} to {candidates.stop - 1}")

    def give_back(self, port: int) -> None:
        if port in self._mine:
            self._mine.discard(port)
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, port)

    def close(self) -> None:
        os.close(self._file)

    def _claim(self, port: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
        if _is_free(self._host, port):
            return True
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, port)
        return False


def common_folder() -> Path:
    """This user's folder for what all test runs on the machine share."""
    folder = Path(tempfile.gettempdir()) / f"fleetq-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ClusterError(f"{folder} belongs to another user")
    return folder


def _ephemeral_from() -> int:
    with suppress(OSError, ValueError, IndexError):
        lowest = int(RANGE_FILE.read_text().split()[0])
        if lowest > LOWEST + 1000:
            return lowest
    return EPHEMERAL


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
