"""Pruning what ended long ago, in small batches, oldest first. The leader's duty."""

import asyncio
from collections.abc import Callable

from fleetq_server.clock import Clock
from fleetq_server.errors import FleetError, NotLeader
from fleetq_server.failpoints import hit
from fleetq_server.model import HolderKey
from fleetq_server.store.base import Prune, Pruned
from fleetq_server.store.writer import GroupWriter
from fleetq_server.telemetry import get_logger

BATCH = 1000
PAUSE_SECONDS = 0.05  # between batches, so that claims always find the writer soon
ROUND_SECONDS = 30.0  # between two walks over the whole store

log = get_logger()


class Retention:
    def __init__(self, writer: GroupWriter, clock: Clock, *, keep: float, keep_dead: float) -> None:
        self._writer = writer
        self._clock = clock
        self._keep = keep
        self._keep_dead = keep_dead
        self._task: asyncio.Task[None] | None = None

    def start(self, key: HolderKey, term: int, on_over: Callable[[], None]) -> None:
        self.stop()
        self._task = asyncio.create_task(self._loop(key, term, on_over), name="fleetq-retention")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _loop(self, key: HolderKey, term: int, on_over: Callable[[], None]) -> None:
        between_rounds = min(ROUND_SECONDS, max(1.0, self._keep / 10))
        pause = between_rounds  # also before the first: a new leader has better things to do
        while True:
            await self._clock.sleep(pause)
            pause = between_rounds
            try:
                if not (await self._batch(key, term)).wrapped:
                    pause = PAUSE_SECONDS
            except NotLeader:
                on_over()
                return
            except FleetError as error:
                log.warning("cannot prune", term=term, cause=str(error))

    async def _batch(self, key: HolderKey, term: int) -> Pruned:
        now = self._clock.now()
        op = Prune(key, term, now - self._keep, now - self._keep_dead, BATCH)
        pruned: Pruned = await self._writer.one(op, internal=True)
        hit("retention.between_batches")
        if pruned.deleted:
            log.debug("pruned", term=term, steps=pruned.deleted)
        return pruned
