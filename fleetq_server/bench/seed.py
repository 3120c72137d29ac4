"""Fills a new store with steps by SQL alone: a few million in half a minute, counters included."""

import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import apsw

from fleetq_server.bench.handlers import NOOP
from fleetq_server.store.base import SetPaused
from fleetq_server.store.sqlite import SqliteStore

DAY = 86_400.0
PAYLOAD = b"x" * 64
QUEUE = "default"

# The states are spread as if at random: every page of the table has some of each.
_STEPS = """
WITH RECURSIVE
    n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :steps),
    spread(i, percent) AS (SELECT i, (i * 2654435761 + :seed) % 100 FROM n),
    s(i, state) AS (
        SELECT i, iif(percent < :finished, 3, iif(percent < :not_ready, 0, 1)) FROM spread)
INSERT INTO steps
    (id, lane, state, priority, attempt, ending, fence, created_at, run_at, claimed_at, finished_at)
SELECT i, :lane, state, 0, state = 3, iif(state = 3, 1, NULL), iif(state = 3, i, NULL), :now,
       iif(state = 0, :due + i, NULL), iif(state = 3, :now, NULL), iif(state = 3, :now, NULL)
FROM s
"""

_BODIES = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :steps)
INSERT INTO bodies (step_id, payload) SELECT i, :payload FROM n
"""

_COUNTERS = """
UPDATE lanes SET submitted = :steps, (scheduled, pending, completed) =
    (SELECT sum(state = 0), sum(state = 1), sum(state = 3) FROM steps)
WHERE id = :lane
"""


class Mix(NamedTuple):
    """Percent of the steps; the others are PENDING."""

    finished: int = 0
    scheduled: int = 0


def fill(
    path: Path,
    steps: int,
    *,
    mix: Mix = Mix(),  # noqa: B008 - immutable
    kind: str = NOOP,
    payload: bytes = PAYLOAD,
    paused: bool = True,
    seed: int = 0,
) -> None:
    """Makes a store of `steps` steps in one queue, which is paused unless told otherwise."""
    store = SqliteStore(path)
    if paused:
        store.apply([SetPaused(QUEUE, True)])
    store.close()
    db = apsw.Connection(str(path))
    for name, value in _UNSAFE:
        db.pragma(name, value)
    lane = db.execute(
        "INSERT INTO lanes (queue, kind) VALUES (?, ?) RETURNING id", (QUEUE, kind)
    ).fetchall()[0][0]
    now = time.time()
    values = {
        "steps": steps,
        "lane": lane,
        "now": now,
        "due": now + DAY,
        "payload": payload,
        "seed": seed,
        "finished": mix.finished,
        "not_ready": mix.finished + mix.scheduled,
    }
    for sql in (_STEPS, _BODIES, _COUNTERS) if steps else ():
        db.execute(sql, values)
    db.execute("UPDATE meta SET value = ? WHERE name = 'next_step'", (steps + 1,))
    db.pragma("journal_mode", "wal")
    db.close()
    sync(path)


# Nobody else has the file yet, and a crash here loses nothing but a benchmark.
_UNSAFE = (("journal_mode", "off"), ("synchronous", "off"), ("cache_size", -500_000))


def copy(source: Path, target: Path) -> Path:
    """A copy, on disk before anything is timed. `source` must not be open."""
    for suffix in ("-wal", "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(source, target)
    sync(target)
    return target


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
