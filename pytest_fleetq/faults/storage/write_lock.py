"""The write lock of a fleet's SQLite file, as FLEET-Q pods take it.

    python -m pytest_fleetq.faults.storage.write_lock DATABASE

holds it, and the pods' turn at the gate before it: says `held` when it does, lets go when its input
ends, and then says which processes waited meanwhile.
"""

import fcntl
import json
import os
import select
import sys
from importlib import import_module
from pathlib import Path

from pytest_fleetq.faults.proc import PROC

GLANCE_SECONDS = 0.02


def lock_files(database: Path) -> tuple[Path, Path]:
    """The first who wants to write takes the entrance and waits at the gate, the rest outside."""
    return Path(f"{database}.entrance"), Path(f"{database}.gate")


def waiting(database: Path) -> set[int]:
    """Processes that the kernel lists as blocked before the gate."""
    inodes = {str(file.stat().st_ino) for file in lock_files(database) if file.exists()}
    found = set()
    for line in (PROC / "locks").read_text().splitlines():
        fields = line.split()  # 1: -> FLOCK ADVISORY WRITE 1234 fd:00:5678 0 EOF
        if "->" in fields and fields[-3].rpartition(":")[2] in inodes:
            found.add(int(fields[-4]))
    return found


def hold(database: Path) -> None:
    _, gate = lock_files(database)
    lock = os.open(gate, os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(lock, fcntl.LOCK_EX)
    apsw = import_module("apsw")  # only this process needs it
    db = apsw.Connection(str(database))
    db.set_busy_timeout(5000)
    db.execute("BEGIN IMMEDIATE")
    _say("held")
    waited: set[int] = set()
    while not select.select([sys.stdin], [], [], GLANCE_SECONDS)[0]:
        waited |= waiting(database)
    db.execute("ROLLBACK")
    _say(json.dumps(sorted(waited)))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    hold(Path(sys.argv[1]))
