"""The one thread that writes: everything waiting goes into one durable transaction.

While a transaction is being synced, the next group gathers by itself, so the more there is to
write the cheaper each write gets. The thread also beats for its pod, between transactions: a
handler that blocks the event loop does not cost the pod its claims.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from fleetq_server.clock import Clock
from fleetq_server.errors import Draining, FleetError, InternalError, Overloaded, StoreUnavailable
from fleetq_server.model import BeatReply
from fleetq_server.store.base import Applied, Beat, Op, StandingClaim, Store, Submit
from fleetq_server.telemetry import get_logger

GROUP_WEIGHT = 4000  # steps per transaction: bounds how long other pods wait at the gate
RETRY_BEAT_SECONDS = 0.1

log = get_logger()


class Beater(Protocol):
    """Whose heartbeat the writer thread keeps. All called in that thread."""

    def due_at(self) -> float:
        """Monotonic time of the next beat."""
        ...

    def make(self) -> Beat: ...

    def answered(self, reply: BeatReply, sent_at: float) -> None: ...


@dataclass(slots=True)
class _Entry:
    ops: Sequence[Op]
    weight: int
    done: Callable[[list[object]], None]  # called on the event loop
    failed: Callable[[FleetError], None]


class GroupWriter:
    def __init__(
        self,
        store: Store,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        *,
        look_every: float = 1.0,
        max_waiting: int = 20_000,
        on_commit: Callable[[Applied], None] = lambda _applied: None,
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_commit` is called on the event loop, `ring` in the writer thread.

        Standing claims are looked after every `look_every` seconds: rings may be lost.
        """
        self._store = store
        self._loop = loop
        self._clock = clock
        self._look_every = look_every
        self._looked_at = clock.monotonic()
        self._max_waiting = max_waiting
        self._on_commit = on_commit
        self._ring = ring
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        # How many entries were queued and taken; each changed by one thread only.
        self._posted = 0
        self._taken = 0
        self._untold: Callable[[], None] | None = None
        self._waiting = 0  # weight queued; changed on the event loop only
        self._standing: tuple[StandingClaim, ...] = ()
        self._beater: Beater | None = None
        self._next_due: float | None = None
        self._stopping = False
        self.leading = False  # the leader's writer also does the store's upkeep
        self._thread = threading.Thread(target=self._run, name="fleetq-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self, timeout: float | None = None) -> bool:
        """Writes what is queued, then ends the thread. The caller closes the store.

        → False if the thread is still writing after `timeout` seconds.
        """
        self._stopping = True
        self.nudge()
        await self._loop.run_in_executor(None, self._thread.join, timeout)
        return not self._thread.is_alive()

    # --- from the event loop ---

    async def one(self, op: Op, *, internal: bool = False) -> Any:
        """The answer to one operation; raises its FleetError."""
        (found,) = await self.together((op,), internal=internal)
        if isinstance(found, FleetError):
            raise found
        return found

    async def together(self, ops: Sequence[Op], *, internal: bool = False) -> list[object]:
        """The answers to operations done in one transaction, each a value or a FleetError."""
        future: asyncio.Future[list[object]] = self._loop.create_future()

        def done(answers: list[object]) -> None:
            if not future.done():
                future.set_result(answers)

        def failed(error: FleetError) -> None:
            if not future.done():
                future.set_exception(error)

        self.post(ops, done, failed, internal=internal)
        return await future

    async def passed(self) -> None:
        """Returns when all transactions begun before have had their effects here."""
        with contextlib.suppress(FleetError):  # one that failed had none
            await self.together((), internal=True)

    def post(
        self,
        ops: Sequence[Op],
        done: Callable[[list[object]], None],
        failed: Callable[[FleetError], None],
        *,
        internal: bool = True,
    ) -> None:
        """Queues operations; one of the callbacks comes on the event loop."""
        weight = sum(map(_weight, ops))
        if self._stopping:
            raise Draining("this pod is shutting down; ask another")
        if not internal and self._waiting and self._waiting + weight > self._max_waiting:
            raise Overloaded(f"{self._waiting} steps wait to be written", 0.1)
        self._waiting += weight
        self._posted += 1
        self._entries.put(_Entry(ops, weight, done, failed))

    def stand(self, claim: StandingClaim) -> None:
        """From now on every transaction lets this claim take what is ready."""
        self._standing = (*self._standing, claim)
        self.nudge()

    def unstand(self, claim: StandingClaim) -> None:
        self._standing = tuple(one for one in self._standing if one is not claim)

    def beat_for(self, beater: Beater | None) -> None:
        self._beater = beater
        self.nudge()

    def nudge(self) -> None:
        """Something may have become claimable, or due. Safe from any thread."""
        self._entries.put(None)

    # --- in the writer thread ---

    def _run(self) -> None:
        while True:
            entries = self._gather()
            if self._stopping and not entries and self._entries.empty():
                return
            try:
                self._write(entries)
            except Exception as error:  # a bug must not end the thread that keeps the pod alive
                log.exception("writer failed")
                self._fail(entries, InternalError(f"internal error ({type(error).__name__})"))

    def _gather(self) -> list[_Entry]:
        """What is queued now; waits for something to do."""
        entries: list[_Entry] = []
        weight = 0
        try:
            entry = self._entries.get(timeout=self._patience())
            while True:
                if entry is not None:
                    entries.append(entry)
                    self._taken += 1
                    weight += entry.weight
                if weight >= GROUP_WEIGHT:
                    break
                entry = self._entries.get_nowait()
        except queue.Empty:
            pass
        return entries

    def _patience(self) -> float:
        if self._stopping:
            return 0.0
        waits = [self._looked_at + self._look_every - self._clock.monotonic()]
        if self._beater is not None:
            waits.append(self._beater.due_at() - self._clock.monotonic())
        if self._next_due is not None and any(one.wanted() for one in self._standing):
            waits.append(self._next_due - self._clock.now())
        return max(0.0, min(waits))

    def _write(self, entries: list[_Entry]) -> None:
        beater = self._beater
        self._looked_at = sent_at = self._clock.monotonic()
        ops: list[Op] = [beater.make()] if beater is not None and beater.due_at() <= sent_at else []
        beats = len(ops)
        for entry in entries:
            ops.extend(entry.ops)
        standing = self._standing
        if not ops and not self._claimable(standing):
            self._speak()
            if entries:
                self._tell(self._settle, entries, Applied(), [])
            return
        try:
            applied = self._store.apply(ops, standing, meanwhile=self._speak)
        except StoreUnavailable as error:
            self._speak()
            log.warning("store unavailable", cause=str(error.__cause__ or error))
            self._fail(entries, error)
            time.sleep(RETRY_BEAT_SECONDS)  # nothing else could be done in this thread
            return
        finally:
            self._speak()
        if beats and beater is not None and isinstance(applied.answers[0], BeatReply):
            beater.answered(applied.answers[0], sent_at)
        self._after(entries, applied, applied.answers[beats:])

    def _claimable(self, standing: Sequence[StandingClaim]) -> bool:
        if not standing:
            return False
        try:
            found = self._store.claimable(standing)
            if not found:
                self._next_due = self._store.next_due()
        except Exception as error:
            log.warning("store unavailable", cause=str(error))
            self._next_due = None  # or what is due now would be asked for without a pause
            return False
        return found

    def _after(self, entries: list[_Entry], applied: Applied, answers: list[object]) -> None:
        sooner = _sooner(applied.next_due, self._next_due)
        self._next_due = applied.next_due
        if applied.left_ready:
            self.nudge()  # what a full batch left over may still be for this pod
        self._untold = partial(self._tell, self._settle, entries, applied, answers)
        if not applied.grants or self._posted == self._taken:
            self._speak()
        if applied.left_ready or sooner:
            self._ring()
        if self.leading:
            try:
                self._store.maintain(meanwhile=self._speak)
            except StoreUnavailable as error:
                log.warning("checkpoint failed", cause=str(error.__cause__ or error))

    def _speak(self) -> None:
        """Tells what the last transaction brought. If it granted claims and the next one is at
        hand, their handlers and its statements would only be in each other's way: they run while
        that one is being synced, when this thread leaves them the interpreter."""
        untold, self._untold = self._untold, None
        if untold is not None:
            untold()

    def _fail(self, entries: list[_Entry], error: FleetError) -> None:
        self._tell(self._settle_failed, entries, error)

    def _tell(self, callback: Callable[..., None], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *values)

    # --- back on the event loop ---

    def _settle(self, entries: list[_Entry], applied: Applied, answers: list[object]) -> None:
        for one, claims in applied.grants:
            one.deliver(claims)  # first: whoever waits for a step waits for its start
        start = 0
        for entry in entries:
            self._waiting -= entry.weight
            entry.done(answers[start : start + len(entry.ops)])
            start += len(entry.ops)
        self._on_commit(applied)

    def _settle_failed(self, entries: list[_Entry], error: FleetError) -> None:
        for entry in entries:
            self._waiting -= entry.weight
            entry.failed(error)


def _sooner(due: float | None, before: float | None) -> bool:
    return due is not None and (before is None or due < before)


def _weight(op: Op) -> int:
    if isinstance(op, Submit):
        return len(op.steps)
    items = getattr(op, "items", None)
    return len(items) if items is not None and not callable(items) else 1
