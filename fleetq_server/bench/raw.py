"""The raw limit: the statements of a pod's transactions, in their order, straight through apsw.

No objects, no threads, no gate, no other process: what SQLite and the disk allow at this batch.
A test compares the statements with those a pod's store really runs.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw

from fleetq_server.bench.handlers import KINDS, NOOP
from fleetq_server.bench.seed import PAYLOAD, QUEUE
from fleetq_server.model import StepState
from fleetq_server.store.sqlite.claiming import LANES_AT_ONCE
from fleetq_server.store.sqlite.connection import connect
from fleetq_server.store.sqlite.tx import CLAIMED, COMPLETED, PENDING, SQL, SUBMITTED

CHECKPOINT_BYTES = 16 * 1024 * 1024  # a pod's default
READY_LANES = SQL["ready_lanes"].format(wanted=f"AND kind IN ({', '.join('?' * len(KINDS))}) ")
ANY_READY = SQL["ready_lanes"].format(wanted="")
COUNTERS = len(StepState) + 2

Row = tuple[Any, ...]


class Raw:
    """One connection, as a pod's writer has one, and one holder of claims."""

    def __init__(self, path: Path, *, kind: str = NOOP, holder_id: str = "0" * 32) -> None:
        self._db = connect(path)
        self._db.set_wal_hook(self._saw_commit)
        self._wal_pages = 0
        self._page_size = int(self._db.pragma("page_size"))
        self._holder_id = holder_id
        about = (holder_id, "pod", "", "", os.getpid(), "", 1)
        self.holder = self._one("insert_holder", *about, time.time(), time.time())
        self._lane = self._one("insert_lane", QUEUE, kind)
        self._run("set_paused", QUEUE, 0)
        self._ids, self._held, self._fence = "[]", 0, 0
        self._requests = 0
        self._now = 0.0
        self._counts = [0] * COUNTERS
        self._events: list[Row] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def turn(
        self,
        *,
        submits: Sequence[int] = (),
        recover: "Raw | None" = None,
        batch: int = 0,
        claim: int = 0,
    ) -> int:
        """One transaction: completes what the last one claimed, takes in requests of so many
        steps each, returns up to `batch` steps of a dead pod to work, claims up to `claim`.

        Returns how many steps it claimed.
        """
        self._db.execute("BEGIN IMMEDIATE")
        self._now = time.time()
        if self._held:
            self._complete()
        for steps in submits:
            self._submit(steps)
        if recover:
            self._recover(recover, batch)
        if claim:
            self._claim(claim)
        self._finish()
        self._run("next_due")
        if submits or recover:
            self._db.execute(ANY_READY, (0, 1)).fetchall()
        self._db.execute("COMMIT")
        self._check_wal()
        return self._held

    def keep(self) -> None:
        """The next transaction does not complete what the last one claimed."""
        self._ids, self._held = "[]", 0

    def _complete(self) -> None:
        for _, count, found in self._run("completable", self._ids, self._fence):
            self._run("complete", self._now, found)
            self._move(CLAIMED, COMPLETED, count)
        self._event("completed", self._ids)
        self.keep()

    def _submit(self, steps: int) -> None:
        self._requests += 1
        request = f"submit:{self._requests:032}"
        self._run("find_request", request)
        first = self._one("take_step_ids", steps)
        ids = range(first, first + steps)
        rows = [(step_id, self._lane, PENDING, 0, None, self._now, None) for step_id in ids]
        self._db.executemany(SQL["insert_step"], rows)
        bodies = [(step_id, None, None, None, PAYLOAD) for step_id in ids]
        self._db.executemany(SQL["insert_body"], bodies)
        answer = json.dumps({"first": first, "count": steps})
        self._run("insert_request", request, bytes(16), answer, self._now)
        self._counts[SUBMITTED] += steps
        self._counts[PENDING] += steps
        self._event("submitted", repr(list(ids)))

    def _recover(self, dead: "Raw", limit: int) -> None:
        self._run("leadership")
        if self._run("declare_dead", dead.holder, None):
            self._event("pod_dead", None)
        self._run("unswept")
        rows = self._run("held", dead.holder, limit)
        crash = ("crashed", "Crashed", "its holder died")
        attempts = [(row[0], None, row[4], "", row[5], self._now, *crash) for row in rows]
        self._db.executemany(SQL["insert_attempt"], attempts)
        ids = repr([row[0] for row in rows])
        self._run("recover", ids)
        self._move(CLAIMED, PENDING, len(rows))
        self._event("recovered", ids)
        if len(rows) < limit:
            self._run("mark_swept", dead.holder)

    def _claim(self, limit: int) -> None:
        self._run("holder_status", self.holder)
        self._fence = int.from_bytes(os.urandom(8), "big") >> 1
        self._run("next_due")
        if self._counts[PENDING] > 0:
            self._count()
        lanes = self._db.execute(READY_LANES, (0, *KINDS, LANES_AT_ONCE)).fetchall()
        if not lanes:
            return
        lane_ids = json.dumps([row[0] for row in lanes])
        self._ids = self._one("pick", lane_ids, limit, self._fence)
        self._run("claim", self._fence, self.holder, self._now, self._ids)
        self._held = len(self._run("claimed", self._ids))
        self._move(PENDING, CLAIMED, self._held)
        self._event("claimed", self._ids)

    def _finish(self) -> None:
        if any(self._counts):
            self._count()
        for event in self._events:
            self._run("insert_event", *event)
        self._events.clear()

    def _count(self) -> None:
        self._run("count", self._lane, *self._counts)
        self._counts = [0] * COUNTERS

    def _move(self, source: int, target: int, by: int) -> None:
        self._counts[source] -= by
        self._counts[target] += by

    def _event(self, type: str, ids: str | None) -> None:
        self._events.append((self._now, type, QUEUE, self._holder_id, None, ids, None))

    def _run(self, name: str, *values: object) -> list[Row]:
        return self._db.execute(SQL[name], values).fetchall()

    def _one(self, name: str, *values: object) -> Any:
        return self._run(name, *values)[0][0]

    def _check_wal(self) -> None:
        if self._wal_pages * self._page_size >= CHECKPOINT_BYTES:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0

    def _saw_commit(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def drain(path: Path, batch: int) -> float:
    """Steps per second that one connection claims and completes until none is left."""
    with Raw(path) as raw:
        steps = 0
        begun = time.perf_counter()
        while claimed := raw.turn(claim=batch):
            steps += claimed
        return steps / (time.perf_counter() - begun)


def cycle(path: Path, steps: int, batch: int) -> float:
    """Steps per second submitted, claimed and completed, each transaction doing a batch of all."""
    with Raw(path) as raw:
        begun = time.perf_counter()
        for _ in range(0, steps, batch):
            raw.turn(submits=(batch,), claim=batch)
        raw.turn()
        return steps / (time.perf_counter() - begun)


def submit(path: Path, steps: int, batch: int) -> float:
    """Steps per second submitted, one request per transaction."""
    with Raw(path) as raw:
        begun = time.perf_counter()
        for _ in range(0, steps, batch):
            raw.turn(submits=(batch,))
        return steps / (time.perf_counter() - begun)
