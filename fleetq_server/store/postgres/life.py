"""What ties a pod's life to the database: a session of its own that ends with the process.

The session holds an advisory lock per holder of this pod. The server drops it when the connection
is gone, so that everybody who looks at the locks sees a pod die within moments. It also carries
the bell: NOTIFY to other pods, LISTEN for them, both outside the transactions that work.

A lost connection is not yet a death: a pod that lives takes its lock again at once. Nobody counts
it dead for GRACE seconds, and one that cannot come back has stopped its handlers MARGIN before. If
nobody answers at the server's address there is no hurry: that server is down for everybody, and
after its start, when all locks are free, one that nobody saw taken again proves nothing for as
long as silence takes to be suspicious.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress

from fleetq_server.errors import FleetError, StoreUnavailable
from fleetq_server.store.postgres import connection
from fleetq_server.store.postgres.connection import OUTAGE, Conn
from fleetq_server.telemetry import get_logger

CHANNEL = "fleetq"
LOOK_SECONDS = 0.06
LOOK_CLOSER_SECONDS = 0.02  # while somebody's lock is free
GRACE_SECONDS = 0.15
MARGIN_SECONDS = 0.03
FENCE_SECONDS = 0.04  # the first try may meet a server that is just going down
BLIND_SECONDS = 0.5  # who did not look for so long begins anew
RING_SECONDS = 0.01  # between two rings
RECONNECT_SECONDS = 0.04
HOLD_SECONDS = 5.0

log = get_logger()

_LOOK = """
SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_SERVER = """
SELECT pg_postmaster_start_time()::text,
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8
"""


class Life:
    """One thread. Everything public may be called from any other."""

    def __init__(self, url: str, *, young: float) -> None:
        """`young`: seconds after the server's start in which a free lock proves nothing."""
        self._url = url
        self._young = young
        self._lock = threading.Lock()
        self._held: dict[str, threading.Event] = {}  # set while the lock is ours
        self._given_up: list[str] = []
        self._notices: deque[str] = deque()
        self._ring_wanted = False
        self._rung_at = 0.0
        self._hear: Callable[[str], None] = lambda _payload: None
        self._watched: dict[str, Callable[[], None]] = {}
        self._asked: set[str] = set()
        self._absent: dict[str, float] = {}  # since when
        self._looked_at = 0.0
        self._trust_from = 0.0
        self._present: frozenset[int] = frozenset()
        self._seen: set[int] = set()  # locks that were held since the server's start
        self._server = ""  # when it started
        self.unproven: Callable[[float], None] = lambda _until: None
        self.proven: Callable[[], None] = lambda: None
        self.pooled = False
        self._closing = False
        self._ear, self._mouth = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="fleetq-life", daemon=True)
        self._thread.start()

    # --- from other threads ---

    def hold(self, holder_id: str) -> None:
        """
        Raises:
            StoreUnavailable: the lock could not be had.
        """
        with self._lock:
            ours = self._held.setdefault(holder_id, threading.Event())
        self._wake()
        if not ours.wait(HOLD_SECONDS):
            raise StoreUnavailable("the database does not grant this pod its liveness lock")

    def let_go(self, holder_id: str) -> None:
        with self._lock:
            self._asked.discard(holder_id)
            self._absent.pop(holder_id, None)
            if self._held.pop(holder_id, None) is not None:
                self._given_up.append(holder_id)
        self._wake()

    def proven_dead(self, holder_id: str) -> bool:
        with self._lock:
            self._asked.add(holder_id)
            return self._proven(holder_id, time.monotonic())

    def watch(self, holder_id: str, on_death: Callable[[], None]) -> bool:
        """`on_death` is called in this thread. → False if the holder is dead already."""
        with self._lock:
            if self._proven(holder_id, time.monotonic()):
                return False
            self._watched[holder_id] = on_death
        return True

    def unwatch(self, holder_id: str) -> None:
        with self._lock:
            self._watched.pop(holder_id, None)

    def ring(self) -> None:
        self._ring_wanted = True
        self._wake()

    def tell(self, payload: str) -> None:
        self._notices.append(payload)
        self._wake()

    def listen(self, hear: Callable[[str], None]) -> None:
        """`hear` is called in this thread with each payload of another pod."""
        self._hear = hear

    def addressed(self, names: Collection[str]) -> bool:
        """Whether news are for a holder of this pod; no names: for everybody."""
        return not names or not self._held.keys().isdisjoint(names)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._wake()
        self._thread.join(HOLD_SECONDS)
        for descriptor in (self._ear, self._mouth):
            os.close(descriptor)

    def _wake(self) -> None:
        with suppress(BlockingIOError, OSError):
            os.write(self._mouth, b"!")

    def _proven(self, holder_id: str, now: float) -> bool:
        since = self._absent.get(holder_id)
        if since is None or self.pooled:
            return False
        if now < self._trust_from and _key(holder_id) not in self._seen:
            return False
        return self._looked_at - since >= GRACE_SECONDS and now - self._looked_at < BLIND_SECONDS

    # --- the thread ---

    def _run(self) -> None:
        while not self._closing:
            conn = self._connect()
            if conn is None:
                continue
            try:
                self._begin(conn)
                self.proven()
                while not self._closing:
                    self._turn(conn)
            except (*OUTAGE, FleetError) as error:
                log.warning(
                    "lost the session that proves this pod's life", cause=str(error).strip()
                )
                for ours in list(self._held.values()):
                    ours.clear()
            finally:
                conn.close()

    def _connect(self) -> Conn | None:
        lost_at = time.monotonic()
        told = not self._held or self.pooled
        while not self._closing:
            try:
                return connection.connect(self._url, name="life")
            except FleetError as error:
                # A server that is down for this pod is down for all, and then young for a while.
                lost_for = time.monotonic() - lost_at
                if not told and lost_for >= FENCE_SECONDS and not connection.server_is_down(error):
                    told = True
                    self._tell_unproven(lost_at + GRACE_SECONDS - MARGIN_SECONDS)
            time.sleep(RECONNECT_SECONDS)
        return None

    def _tell_unproven(self, until: float) -> None:
        threading.Thread(target=self.unproven, args=(until,), name="fleetq-unproven").start()

    def _begin(self, conn: Conn) -> None:
        self.pooled = connection.pooled(conn)
        self._absent.clear()
        self._looked_at = 0.0
        if not self.pooled:
            conn.add_notify_handler(lambda notice: self._heard(conn, notice.pid, notice.payload))
            conn.execute("SET synchronous_commit = off")  # nothing it writes is to last
            conn.execute(f"LISTEN {CHANNEL}")
            self._meet(conn)
        self._take_locks(conn)

    def _meet(self, conn: Conn) -> None:
        row = conn.execute(_SERVER).fetchone()
        assert row is not None
        started, uptime = row
        if started != self._server:
            self._server = started
            self._seen.clear()
            self._trust_from = time.monotonic() + self._young - uptime

    def _take_locks(self, conn: Conn) -> None:
        for holder_id, ours in list(self._held.items()):
            if not ours.is_set():
                if not self.pooled:
                    conn.execute("SELECT pg_advisory_lock($1)", [_key(holder_id)])
                ours.set()
        while self._given_up:
            holder_id = self._given_up.pop()
            if not self.pooled:
                conn.execute("SELECT pg_advisory_unlock($1)", [_key(holder_id)])

    def _turn(self, conn: Conn) -> None:
        ready = connection.readable(conn, self._patience(), self._ear)
        if self._ear in ready:
            with suppress(BlockingIOError):
                os.read(self._ear, 4096)
        if len(ready) > (self._ear in ready):
            conn.pgconn.consume_input()
            while (notice := conn.pgconn.notifies()) is not None:
                self._heard(conn, notice.be_pid, notice.extra.decode())
        self._take_locks(conn)
        self._speak(conn)
        if not self.pooled and time.monotonic() - self._looked_at >= self._look_interval:
            self._look(conn)

    @property
    def _look_interval(self) -> float:
        return LOOK_CLOSER_SECONDS if self._absent else LOOK_SECONDS

    def _patience(self) -> float:
        if self.pooled:
            return 1.0
        now = time.monotonic()
        wait = self._looked_at + self._look_interval - now
        if self._ring_wanted:
            wait = min(wait, self._rung_at + RING_SECONDS - now)
        return max(0.0, wait)

    def _speak(self, conn: Conn) -> None:
        now = time.monotonic()
        if self._ring_wanted and now - self._rung_at >= RING_SECONDS:
            self._ring_wanted = False
            self._rung_at = now
            if self.pooled or len(self._present) > len(self._held):
                self._notify(conn, "")
        while self._notices:
            self._notify(conn, self._notices.popleft())

    @staticmethod
    def _notify(conn: Conn, payload: str) -> None:
        conn.execute("SELECT pg_notify($1, $2)", [CHANNEL, payload])

    def _heard(self, conn: Conn, pid: int, payload: str) -> None:
        if pid != conn.info.backend_pid:
            self._hear(payload)

    def _look(self, conn: Conn) -> None:
        present = frozenset(row[0] for row in conn.execute(_LOOK).fetchall())
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at >= BLIND_SECONDS:
                self._absent.clear()
            self._looked_at = now
            self._present = present
            self._seen |= present  # as many as pods that ever were: a few bytes each
            for holder_id in {*self._watched, *self._asked}:
                if _key(holder_id) in present:
                    self._absent.pop(holder_id, None)
                else:
                    self._absent.setdefault(holder_id, now)
            dead = [each for each in self._watched if self._proven(each, now)]
            bereaved = [self._watched.pop(each) for each in dead]
        for on_death in bereaved:
            on_death()


def lives(conn: Conn, holder_ids: Collection[str]) -> set[str]:
    """Those of these holders whose lock is held at this moment."""
    present = {row[0] for row in conn.execute(_LOOK).fetchall()}
    return {holder_id for holder_id in holder_ids if _key(holder_id) in present}


def _key(holder_id: str) -> int:
    return int.from_bytes(bytes.fromhex(holder_id[:16]), "big", signed=True)
