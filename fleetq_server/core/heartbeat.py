"""One holder's heartbeat and its lease on everything it claimed.

Others count a holder dead once they have not seen it beat for `threshold` seconds by their own
clock. A beat was sent before anybody could see it, so a lease that ends `threshold` seconds after
the last answered beat was *sent* ends before anybody may act. Within that time:

    sent ──────── late ──────────── soft limit ────────── hard limit ────── sent + threshold
         handlers │ the store is    │ they are            │ the process     │ others may
         run      │ looked after    │ cancelled           │ ends itself if  │ run its steps
                                                            one still runs

The limits are watched by a thread of their own, since the event loop may be blocked by the very
handler that has to be stopped, and the writer thread by the very disk that keeps the beat away.
"""

import asyncio
import math
import os
import threading
from collections.abc import Callable, Sequence

from fleetq_server.clock import Clock
from fleetq_server.model import BeatReply, Fence, HolderKey, Progress, StepId
from fleetq_server.store.base import Beat
from fleetq_server.telemetry import get_logger

HURRY_FRACTION = 0.1
SOFT_FRACTION = 0.8
HARD_FRACTION = 0.95
UNWIND_SECONDS = 0.25  # for handlers to unwind when the limit was noticed late, after a freeze
EXIT_FENCED = 75

log = get_logger()


class Heartbeat:
    def __init__(
        self,
        clock: Clock,
        *,
        interval: float,
        threshold: float,
        running: Callable[[], int],
        progress: Callable[[], Sequence[Progress]],
        unblock: Callable[[], None],
        on_fence: Callable[[], None],
        on_dead: Callable[[], None],
        on_cancels: Callable[[Sequence[tuple[StepId, Fence]]], None],
        on_drain: Callable[[], None],
    ) -> None:
        """The `on_…` functions are called on the event loop, `unblock` in the watchdog's thread."""
        self.interval = interval
        self.threshold = threshold
        self._clock = clock
        self._running = running
        self._progress = progress
        self._unblock = unblock
        self._on_fence = on_fence
        self._on_dead = on_dead
        self._on_cancels = on_cancels
        self._on_drain = on_drain
        self._loop = asyncio.get_running_loop()
        self._key: HolderKey | None = None
        self._lease_from(0.0)
        self._fenced = False
        self._unproven = False
        self._dead = False
        self._hurried = False
        self._told_drain = False
        self._untold: dict[tuple[StepId, Fence], Progress] = {}  # of beats without an answer
        self._stopping = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="fleetq-watchdog", daemon=True)

    def watch(self) -> None:
        """Looks after the lease, and before there is one after the store: registering must not
        wait for a frozen process either."""
        self._lease_from(self._clock.monotonic())
        self._watchdog.start()

    def begin(self, key: HolderKey, sent_at: float) -> None:
        """A new incarnation registered, by a write sent at this monotonic time."""
        self._key = key
        self._lease_from(sent_at)
        self._fenced = self._dead = False

    def stop(self) -> None:
        self._stopping.set()

    def hurry(self) -> None:
        """Beat soon: there is news to fetch."""
        self._hurried = True

    def age(self) -> float:
        """Seconds since the last beat that was answered was sent."""
        return self._clock.monotonic() - self._sent_at

    def life_unproven(self, until: float) -> None:
        """From the monotonic time `until` on others may take this pod for dead, though it beats:
        the store lost the proof of its life. Returns, in whatever thread, when nothing runs."""
        self._unproven = True
        log.warning("the proof of this pod's life is lost, stopping handlers")
        self._tell(self._on_fence)
        while self._unproven and self._running() > 0:
            if self._clock.monotonic() >= until:
                log.error("handlers still run, ending the process", running=self._running())
                os._exit(EXIT_FENCED)
            self._stopping.wait(0.01)

    def life_proven(self) -> None:
        self._unproven = False

    def lease_lost(self) -> bool:
        return self._fenced or self._unproven or self._clock.monotonic() >= self._soft_limit

    def _lease_from(self, sent_at: float) -> None:
        self._sent_at = sent_at
        self._soft_limit = sent_at + self.threshold * SOFT_FRACTION

    @property
    def _late_limit(self) -> float:
        """Half-way between the time a beat is due and the soft limit."""
        return (self._sent_at + self.interval + self._soft_limit) / 2

    # --- Beater: in the writer thread ---

    def due_at(self) -> float:
        if self._dead:
            return math.inf
        # A storm of news costs no more than this share of a beat's interval each.
        return self._sent_at + self.interval * (HURRY_FRACTION if self._hurried else 1)

    def make(self) -> Beat:
        assert self._key is not None
        for report in self._progress():
            self._untold[report.step_id, report.fence] = report
        return Beat(self._key, self._running(), tuple(self._untold.values()))

    def answered(self, reply: BeatReply, sent_at: float) -> None:
        self._hurried = False
        self._untold.clear()
        if not reply.alive:
            # The lease stays as old as it is: whatever still runs has until the hard limit.
            if not self._dead:
                self._tell(self._on_dead)
            self._fenced = self._dead = True
            return
        self._lease_from(sent_at)
        if self._fenced:
            self._fenced = False
            log.info("heartbeat resumed")
        if reply.cancels:
            self._tell(self._on_cancels, reply.cancels)
        if reply.draining and not self._told_drain:
            self._told_drain = True
            self._tell(self._on_drain)

    # --- the watchdog thread ---

    def _watch(self) -> None:
        limit = self._late_limit
        while not self._stopping.wait(max(0.01, limit - self._clock.monotonic())):
            now = self._clock.monotonic()
            if now >= self._soft_limit:
                self._fence()
            if now >= self._late_limit:
                self._unblock()
            limit = self._late_limit if now < self._late_limit else self._soft_limit

    def _fence(self) -> None:
        noticed = self._clock.monotonic()
        sent_at = self._sent_at
        if self._running() == 0:
            self._stopping.wait(self.interval)
            return
        if not self._fenced:
            self._fenced = True
            log.warning(
                "no heartbeat got through, stopping handlers",
                silent_seconds=round(noticed - sent_at, 3),
            )
        self._tell(self._on_fence)
        hard_limit = sent_at + self.threshold * HARD_FRACTION
        if noticed >= hard_limit:
            hard_limit = noticed + UNWIND_SECONDS
        while self._sent_at == sent_at and self._running() > 0:
            left = hard_limit - self._clock.monotonic()
            if left <= 0:
                log.error(
                    "handlers still run past the lease, ending the process", running=self._running()
                )
                os._exit(EXIT_FENCED)
            self._stopping.wait(min(left, 0.02))

    def _tell(self, callback: Callable[..., None], *values: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *values)
        except RuntimeError:
            self._stopping.set()  # the loop is closed
