"""Waiting for steps to end. Steps that end in this pod are told at once; for those of other pods
the store's change number is looked at now and then, only while somebody waits."""

import asyncio
from collections.abc import Sequence

from fleetq_server.clock import Clock
from fleetq_server.core.reads import Reads
from fleetq_server.errors import FleetError, NotFound, Overloaded
from fleetq_server.model import Ended, StepId
from fleetq_server.store.base import Applied
from fleetq_server.telemetry import get_logger

LOOK_SECONDS = 0.02  # and never more than a tenth of the time
READ_AT_ONCE = 200  # results
ANSWER_BYTES = 3 * 1024 * 1024  # what one answer can carry; the caller asks again for the rest

log = get_logger()


class Waiting:
    def __init__(self, reads: Reads, clock: Clock, max_calls: int = 1000) -> None:
        self._reads = reads
        self._clock = clock
        self._max_calls = max_calls
        self._calls: set[_Call] = set()
        self._fresh: set[StepId] = set()  # ended in this pod, not yet told
        self._stirred = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None

    async def wait(self, step_ids: Sequence[StepId], timeout: float, any_one: bool) -> list[Ended]:
        """Those that have ended, once that is all of them (with any_one: one) or time is up."""
        if len(self._calls) >= self._max_calls:
            raise Overloaded(f"{len(self._calls)} calls wait at this pod already", 1.0)
        call = _Call(step_ids, any_one)
        self._calls.add(call)  # before the first look, so that nothing ends unseen in between
        try:
            await self._look([call], call.left)
            if call.left and (
                missing := await self._reads(self._reads.reader.unknown, tuple(call.left))
            ):
                raise NotFound("step", str(missing[0]))
            if not call.satisfied and timeout > 0:
                self._watch()
                async with asyncio.timeout(timeout):
                    await call.done.wait()
        except TimeoutError:
            pass
        finally:
            self._calls.discard(call)
        return sorted(call.ended.values(), key=lambda one: call.order[one.step_id])

    def committed(self, applied: Applied) -> None:
        """Called after each transaction of this pod."""
        if not (self._calls and applied.ended):
            return
        fresh = [
            step_id
            for step_id in applied.ended
            if any(step_id in call.left for call in self._calls)
        ]
        if fresh:
            self._fresh.update(fresh)
            self._stirred.set()

    def _watch(self) -> None:
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch_loop())

    async def _watch_loop(self) -> None:
        seen, pause = -1, LOOK_SECONDS
        while self._calls:
            begun = self._clock.monotonic()
            try:
                async with asyncio.timeout(pause):
                    await self._stirred.wait()
            except TimeoutError:
                seen = await self._look_abroad(seen)
            else:
                self._stirred.clear()
                fresh, self._fresh = self._fresh, set()
                await self._look_safely(fresh)
            pause = max(LOOK_SECONDS, 10 * (self._clock.monotonic() - begun - pause))

    async def _look_abroad(self, seen: int) -> int:
        """Looks for what ended in other pods, if anything was committed since."""
        try:
            version = await self._reads(self._reads.reader.version)
        except FleetError:
            return seen
        if version != seen:
            await self._look_safely(set().union(*(call.left for call in self._calls)))
        return version

    async def _look_safely(self, wanted: set[StepId]) -> None:
        try:
            await self._look(list(self._calls), wanted)
        except FleetError as error:
            log.warning("cannot look for results", cause=str(error))
            self._fresh |= wanted

    async def _look(self, calls: Sequence["_Call"], wanted: set[StepId]) -> None:
        """In parts: a thousand results may be a quarter of a gigabyte."""
        ids = sorted(wanted)
        for start in range(0, len(ids), READ_AT_ONCE):
            for ended in await self._reads(
                self._reads.reader.ended, ids[start : start + READ_AT_ONCE]
            ):
                for call in calls:
                    call.tell(ended)
            if all(call.satisfied for call in calls):
                return


class _Call:
    def __init__(self, step_ids: Sequence[StepId], any_one: bool) -> None:
        self.order = {step_id: position for position, step_id in enumerate(step_ids)}
        self.left = set(step_ids)
        self.any_one = any_one
        self.ended: dict[StepId, Ended] = {}
        self.bytes = 0
        self.done = asyncio.Event()

    def tell(self, ended: Ended) -> None:
        if ended.step_id in self.left and not self.full:
            self.left.discard(ended.step_id)
            self.ended[ended.step_id] = ended
            self.bytes += len(ended.result.data) if ended.result is not None else 0
            if self.satisfied:
                self.done.set()

    @property
    def full(self) -> bool:
        return self.bytes >= ANSWER_BYTES

    @property
    def satisfied(self) -> bool:
        return not self.left or self.full or (self.any_one and bool(self.ended))
