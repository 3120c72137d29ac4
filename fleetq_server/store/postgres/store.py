"""One pod's write connection: groups of operations, one transaction each."""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from random import Random
from typing import Any, NamedTuple

import psycopg
from psycopg import errors

from fleetq_server.clock import Clock, SystemClock
from fleetq_server.errors import StoreRefused, StoreUnavailable
from fleetq_server.failpoints import hit
from fleetq_server.model import Claim, HolderKey
from fleetq_server.store.base import Applied, ClaimSteps, Op, StandingClaim
from fleetq_server.store.postgres import connection
from fleetq_server.store.postgres.claiming import names
from fleetq_server.store.postgres.connection import CONTENTION, OUTAGE, Conn, lent, unavailable
from fleetq_server.store.postgres.doorbell import PostgresDoorbell
from fleetq_server.store.postgres.intentions import RUN
from fleetq_server.store.postgres.life import Life
from fleetq_server.store.postgres.presence import PostgresPresence
from fleetq_server.store.postgres.reads import PostgresReader
from fleetq_server.store.postgres.tx import SQL, PgTx
from fleetq_server.store.postgres.wire import Wire
from fleetq_server.store.relational.intentions import answer
from fleetq_server.store.relational.settling import account_released
from fleetq_server.store.relational.tx import Lanes, Rules, json_ids
from fleetq_server.telemetry import get_logger

TRIES = 8
SHARDS = 32
BLOCKED_SECONDS = 2.0

_LIMITS = (
    connection.LOCK_TIMEOUT,
    connection.IDLE_IN_TRANSACTION,
    connection.TRANSACTION_TIMEOUT,
)

log = get_logger()


class _Doubt(NamedTuple):
    """A transaction whose COMMIT got no answer, and the claims nobody knows of if it counts."""

    transaction: str
    holders: list[HolderKey]
    fences: list[int]

    @classmethod
    def about(cls, transaction: str, claimed: Sequence[tuple[ClaimSteps, list[Claim]]]) -> "_Doubt":
        # Claims of a request that has an id wait for its repeat.
        lost = [(op.holder, claims[0].fence) for op, claims in claimed if op.request_id is None]
        return cls(transaction, [holder for holder, _ in lost], [fence for _, fence in lost])


class PostgresStore:
    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        rng: Random | None = None,
        max_crashes: int = 3,
        silence: float = 5.0,
        **_others: Any,
    ) -> None:
        self.url = url
        self._clock = clock or SystemClock()
        self._lanes = Lanes()
        self._rules = Rules(rng or Random(), max_crashes)
        self._young = silence
        self._doubts: list[_Doubt] = []  # one at most
        self._ahead = 0.0  # this machine's clock, compared with the server's
        self._busy_since: float | None = None
        self._lock = threading.Lock()  # around what unblock() may touch
        self._life: Life | None = None
        self._wire: Wire | None = None
        self._open(self._connect())

    def _open(self, conn: Conn) -> None:
        try:
            connection.migrate(conn)
            wire = _wire(conn)
            self._rules.secret = self._one(conn, SQL["secret"])
            self._shard = self._one(conn, "SELECT nextval('shards')") % SHARDS
        except OUTAGE as error:
            conn.close()
            raise unavailable(error) from error
        except BaseException:
            conn.close()
            raise
        self._wire = wire

    # --- the connection ---

    def _connect(self) -> Conn:
        return connection.connect(self.url, name="writer")

    def _connected(self) -> Wire:
        if self._wire is None or self._wire.conn.closed:
            with self._lock:
                self._wire = None
            try:
                conn = self._connect()
            except StoreRefused as error:  # a fleet that was served once waits for better times
                raise unavailable(error) from error
            wire = _wire(conn)
            with self._lock:
                self._wire = wire
            self._lanes.clear()
            log.info("connected to the store again")
        assert self._wire is not None
        if self._doubts:
            self._resolve(self._wire)
        return self._wire

    def _drop(self) -> None:
        self._lanes.clear()
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.conn.close()

    @staticmethod
    def _one(conn: Conn, sql: str, *values: Any) -> Any:
        row = conn.execute(sql, values, binary=True).fetchone()
        return None if row is None else row[0]

    # --- writing ---

    def apply(
        self,
        ops: Sequence[Op],
        standing: Sequence[StandingClaim] = (),
        now: float | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Applied:
        meanwhile()  # the first answer is waited for at once
        for left in reversed(range(TRIES)):
            try:
                self._busy_since = self._clock.monotonic()
                return self._apply(ops, standing, now)
            except CONTENTION as error:
                self._roll_back()
                if not left:
                    raise unavailable(error) from error
            except OUTAGE as error:
                self._drop()
                raise unavailable(error) from error
            except BaseException:
                self._drop()  # whatever it was may come from the session, and would come again
                raise
            finally:
                self._busy_since = None
        raise AssertionError("unreachable")

    def _apply(
        self, ops: Sequence[Op], standing: Sequence[StandingClaim], now: float | None
    ) -> Applied:
        hit("store.before_begin")
        wire = self._connected()
        grants: list[tuple[StandingClaim, ClaimSteps, list[Claim]]] = []
        with wire:
            tx, begun = self._begin(wire, now)
            for op in ops:
                tx.applied.answers.append(answer(RUN, tx, op))
                hit("store.between_ops")
            for one in standing:
                grants.extend(_stand(tx, one))
            tx.applied.grants.extend((one, claims) for one, _, claims in grants)
            tx.finish()
            due = tx.send("next_due")
            ready = tx.send("any_ready") if tx.applied.made_ready else None
            hit("store.before_commit")
            claimed = [(op, claims) for _, op, claims in grants]
            claimed.extend(_claimed(ops, tx.applied.answers))
            self._doubts.append(_Doubt.about(begun(), claimed))
            wire.ask("commit")
            tx.applied.next_due = self._local(tx.rows(due)[0][0], now)
            tx.applied.left_ready = ready is not None and bool(tx.rows(ready)[0][0])
        self._doubts.clear()
        hit("store.after_commit")
        for one, claims in tx.applied.grants:
            one.granted(claims)
        return tx.applied

    def _begin(self, wire: Wire, now: float | None) -> tuple[PgTx, Callable[[], str]]:
        """→ the transaction, and what waits for its number."""
        wire.ask("start")
        if not wire.prepares:
            wire.ask("settings", (*_LIMITS, True))
        asked = wire.ask("begun")

        @cache
        def told() -> tuple[float, str]:
            ((now, number, size),) = tx.rows(asked)
            self._ahead = self._clock.now() - now
            wire.plan_for(size)
            return now, number

        tx = PgTx(wire, self._lanes, self._rules, self._shard, lambda: told()[0])
        if now is not None:
            tx.now = now
        return tx, lambda: told()[1]

    def _roll_back(self) -> None:
        # A doubt stays: what failed may have been the way back to the server, not the write.
        self._lanes.clear()
        try:
            if self._wire is not None and not self._wire.conn.closed:
                self._wire.conn.rollback()
        except OUTAGE:
            self._drop()

    def _resolve(self, wire: Wire) -> None:
        """Whether the last transaction counts, when its COMMIT got no answer. Claims it made
        are nobody's then: given back, or a living holder would keep them for ever."""
        (doubt,) = self._doubts
        try:
            status = self._one(wire.conn, SQL["transaction_status"], doubt.transaction)
        except errors.InvalidParameterValue:
            status = "aborted"  # its number is not reached yet: a server that crashed forgot it
        if status == "in progress":
            raise StoreUnavailable("the fate of the last write is not known yet; try again")
        if status != "aborted" and doubt.fences:
            self._release(wire, doubt)
        self._doubts.clear()

    def _release(self, wire: Wire, doubt: _Doubt) -> None:
        with wire:
            tx, _ = self._begin(wire, None)
            stranded = (tx.now, json_ids(doubt.holders), json_ids(doubt.fences))
            account_released(tx, tx.run("release_stranded", *stranded))
            tx.finish()
            wire.ask("commit")

    # --- reading ---

    def claimable(self, standing: Sequence[StandingClaim], now: float | None = None) -> bool:
        wanted = [op for one in standing if (op := one.wanted()) is not None]
        if not wanted:
            return False
        if any(op.expired for op in wanted):
            return True
        try:
            with self._connected() as wire:
                asked = [wire.ask("due_now", (now,))]
                asked += [wire.ask("is_ready", names(op)) for op in wanted]
            return any(answer.rows and answer.rows[0][0] for answer in asked)
        except (psycopg.Error, OSError) as error:
            self._drop()
            raise unavailable(error) from error

    def next_due(self) -> float | None:
        try:
            with self._connected() as wire:
                asked = wire.ask("next_due_from_now")
            assert asked.rows is not None
            ((due, now),) = asked.rows
        except (psycopg.Error, OSError) as error:
            self._drop()
            raise unavailable(error) from error
        self._ahead = self._clock.now() - now
        return self._local(due, None)

    def _local(self, due: float | None, now: float | None) -> float | None:
        """The server's time of something by this machine's clock, by which one waits for it."""
        return due if due is None or now is not None else due + self._ahead

    def secret(self) -> bytes:
        return self._rules.secret

    def reader(self) -> PostgresReader:
        return PostgresReader(self.url)

    # --- beside the transactions ---

    def presence(self) -> PostgresPresence:
        return PostgresPresence(self._alive())

    def doorbell(self, holder_id: str) -> PostgresDoorbell:
        return PostgresDoorbell(self._alive(), holder_id)

    def _alive(self) -> Life:
        if self._life is None:
            self._life = Life(self.url, young=self._young)
        return self._life

    def unblock(self) -> None:
        """Gives up a write that the server does not answer: its callers hear of it."""
        since = self._busy_since
        if since is None or self._clock.monotonic() - since < BLOCKED_SECONDS:
            return
        with self._lock, suppress(OSError, psycopg.Error):
            if self._wire is not None:
                with socket.socket(fileno=os.dup(self._wire.conn.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def maintain(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Nothing: the server looks after itself."""

    def close(self) -> None:
        if self._life is not None:
            self._life.close()
        self._drop()


def _wire(conn: Conn) -> Wire:
    """With what holds for each transaction set once for the session, unless that is lent."""
    try:
        ours = not lent(conn)
        if ours:
            conn.execute(SQL["settings"], (*_LIMITS, False))
        # After a rollback the driver deallocates what it prepared, and all else with it.
        conn.prepare_threshold = None
        return Wire(conn, SQL, prepares=ours)
    except BaseException:
        conn.close()
        raise


def _stand(tx: PgTx, one: StandingClaim) -> list[tuple[StandingClaim, ClaimSteps, list[Claim]]]:
    op = one.wanted()
    claims = answer(RUN, tx, op) if op is not None else None
    return [(one, op, claims)] if op is not None and claims and isinstance(claims, list) else []


def _claimed(ops: Sequence[Op], answers: Sequence[object]) -> list[tuple[ClaimSteps, list[Claim]]]:
    return [
        (op, found)
        for op, found in zip(ops, answers, strict=True)
        if isinstance(op, ClaimSteps) and isinstance(found, list) and found
    ]
