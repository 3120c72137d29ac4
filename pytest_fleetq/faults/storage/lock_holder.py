"""The process that holds a SQLite file's write lock: `python lock_holder.py DATABASE`.

Says `held` when it does, and lets go when its input ends; then it says which processes waited for
its turn meanwhile.
"""

import fcntl
import json
import os
import select
import sys
from pathlib import Path

import apsw

GLANCE_SECONDS = 0.02


def waiting_for(inodes: set[str]) -> set[int]:
    """Processes that the kernel lists as blocked on a lock of these files."""
    found = set()
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "->" in fields and fields[-3].rpartition(":")[2] in inodes:
            found.add(int(fields[-4]))
    return found


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    database = sys.argv[1]
    # The first who wants to write takes the entrance and waits at the gate; the rest wait outside.
    entrance, gate = (
        os.open(f"{database}.{name}", os.O_RDWR | os.O_CREAT, 0o666)
        for name in ("entrance", "gate")
    )
    fcntl.flock(gate, fcntl.LOCK_EX)
    inodes = {str(os.fstat(lock).st_ino) for lock in (entrance, gate)}
    db = apsw.Connection(database)
    db.set_busy_timeout(5000)
    db.execute("BEGIN IMMEDIATE")
    _say("held")
    waited: set[int] = set()
    while not select.select([sys.stdin], [], [], GLANCE_SECONDS)[0]:
        waited |= waiting_for(inodes)
    db.execute("ROLLBACK")
    _say(json.dumps(sorted(waited)))


if __name__ == "__main__":
    main()
