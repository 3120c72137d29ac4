"""One pod's write connection: groups of operations, one durable transaction each."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import apsw

from fleetq_server.clock import Clock, SystemClock
from fleetq_server.errors import FleetError, StoreUnavailable
from fleetq_server.failpoints import hit
from fleetq_server.store import base
from fleetq_server.store.base import Applied, Op, StandingClaim
from fleetq_server.store.relational.intentions import SHARED, Intentions, answer
from fleetq_server.store.relational.tx import Lanes, Rules
from fleetq_server.store.sqlite import claiming, completing
from fleetq_server.store.sqlite.connection import connect, migrate
from fleetq_server.store.sqlite.doorbell import SqliteDoorbell
from fleetq_server.store.sqlite.eviction import evict_stopped, evicting
from fleetq_server.store.sqlite.gate import Gate
from fleetq_server.store.sqlite.presence import SqlitePresence
from fleetq_server.store.sqlite.reads import SqliteReader
from fleetq_server.store.sqlite.tx import SQL, SqliteTx
from fleetq_server.telemetry import get_logger

log = get_logger()

RUN: Intentions[SqliteTx] = {
    **SHARED,
    base.ClaimSteps: claiming.claim,
    base.Complete: completing.complete,
}

# What no repeat and no repair of the disk would mend.
BUGS = (
    apsw.SQLError,
    apsw.BindingsError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.MisuseError,
)


class SqliteStore:
    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        rng: Random | None = None,
        max_crashes: int = 3,
        checkpoint_bytes: int = 16 * 1024 * 1024,
        vfs: str | None = None,
    ) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._vfs = vfs
        self._checkpoint_bytes = checkpoint_bytes
        self._wal_pages = 0
        self._lanes = Lanes()
        self._rules = Rules(rng or Random(), max_crashes)
        self._gate = Gate(path)
        try:
            self._open()
        except apsw.Error as error:
            self._gate.close()
            raise StoreUnavailable(
                f"the store cannot be opened ({type(error).__name__})"
            ) from error
        except BaseException:
            self._gate.close()
            raise

    def _open(self) -> None:
        with evicting(self.unblock), self._gate:
            self._db = connect(self.path, vfs=self._vfs)
            migrate(self._db)
        self._page_size = int(self._db.pragma("page_size"))
        self._rules.secret = self._one("SELECT value FROM meta WHERE name = 'secret'")
        self._db.set_wal_hook(self._saw_commit)

    def apply(
        self,
        ops: Sequence[Op],
        standing: Sequence[StandingClaim] = (),
        now: float | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Applied:
        self._gate.before_waiting = meanwhile
        asked_at = self._clock.monotonic()
        try:
            with self._gate:
                waited = self._clock.monotonic() - asked_at
                hit("store.before_begin")
                self._db.execute("BEGIN IMMEDIATE")
                tx = SqliteTx(
                    self._db, self._lanes, self._rules, self._clock.now() if now is None else now
                )
                for op in ops:
                    tx.applied.answers.append(answer(RUN, tx, op))
                    hit("store.between_ops")
                for one in standing:
                    self._stand(tx, one)
                tx.finish()
                tx.applied.next_due = tx.run("next_due")[0][0]
                tx.applied.left_ready = tx.applied.made_ready and bool(claiming.any_ready(tx))
                hit("store.before_commit")
                meanwhile()
                self._db.execute("COMMIT")
        except BUGS:
            self._roll_back()
            raise
        except (apsw.Error, OSError) as error:
            self._roll_back()
            raise StoreUnavailable(
                f"the store did not take the write ({type(error).__name__}); try again"
            ) from error
        except BaseException:
            self._roll_back()
            raise
        hit("store.after_commit")
        tx.applied.waited = waited
        for one, claims in tx.applied.grants:
            one.granted(claims)
        return tx.applied

    def _stand(self, tx: SqliteTx, one: StandingClaim) -> None:
        op = one.wanted(self._gate.contended)
        if op is None:
            return
        with suppress(FleetError):  # refused: whoever stands learns of it by other ways
            claims = claiming.claim(tx, op)
            if claims:
                tx.applied.grants.append((one, claims))

    def _roll_back(self) -> None:
        self._lanes.clear()
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except apsw.Error:
            pass  # SQLite rolled back by itself, as it does on a full disk or an I/O error

    def claimable(self, standing: Sequence[StandingClaim], now: float | None = None) -> bool:
        wanted = [op for one in standing if (op := one.wanted()) is not None]
        if not wanted:
            return False
        tx = SqliteTx(self._db, self._lanes, self._rules, self._clock.now() if now is None else now)
        due = self.next_due()
        if due is not None and due <= tx.now:
            return True
        return any(op.expired or claiming.ready_lanes(tx, op) for op in wanted)

    def next_due(self) -> float | None:
        due: float | None = self._one(SQL["next_due"])
        return due

    def _one(self, sql: str) -> Any:
        return self._db.execute(sql).fetchall()[0][0]

    def secret(self) -> bytes:
        return self._rules.secret

    def reader(self) -> SqliteReader:
        return SqliteReader(self.path, vfs=self._vfs)

    def presence(self) -> SqlitePresence:
        return SqlitePresence(self.path)

    def doorbell(self, holder_id: str) -> SqliteDoorbell:
        return SqliteDoorbell(self.path, holder_id)

    def unblock(self) -> None:
        for pid in evict_stopped(self._gate.paths):
            log.warning(
                "killed a process that was stopped in the middle of a write", stopped_pid=pid
            )

    def maintain(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """A checkpoint once the WAL has grown enough. Under the gate: commits and checkpoints of
        several processes never meet, so nothing can starve and the WAL starts over."""
        if self._wal_pages * self._page_size < self._checkpoint_bytes:
            return
        self._gate.before_waiting = meanwhile
        try:
            with self._gate:
                meanwhile()
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0
        except apsw.Error as error:
            raise StoreUnavailable(f"the checkpoint failed ({type(error).__name__})") from error

    def _saw_commit(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def close(self) -> None:
        self._db.close()
        self._gate.close()
