"""Looking at the fleet and steering it."""

import asyncio
from collections.abc import AsyncGenerator

from fleetq_server.clock import Clock
from fleetq_server.core.names import check_queue
from fleetq_server.core.reads import Reads
from fleetq_server.errors import InvalidArgument, NotFound
from fleetq_server.model import Event, Holder, Leadership, Stats, Step, StepFilter, StepId
from fleetq_server.store.base import Applied, Drain, SetPaused
from fleetq_server.store.writer import GroupWriter

LOOK_SECONDS = 0.1
EVENTS_AT_ONCE = 500


class Fleet:
    def __init__(self, writer: GroupWriter, reads: Reads, clock: Clock) -> None:
        self._writer = writer
        self._reads = reads
        self._clock = clock
        self._committed = asyncio.Event()

    async def get_step(self, step_id: StepId) -> Step:
        step = await self._reads(self._reads.reader.get_step, step_id)
        if step is None:
            raise NotFound("step", str(step_id))
        return step

    async def list_steps(self, filter: StepFilter, after: StepId | None, limit: int) -> list[Step]:
        return await self._reads(self._reads.reader.list_steps, filter, after, limit)

    async def pods(self, include_ended: bool) -> list[Holder]:
        return await self._reads(self._reads.reader.holders, include_ended)

    async def leadership(self) -> Leadership:
        return await self._reads(self._reads.reader.leadership)

    async def stats(self) -> Stats:
        return await self._reads(self._reads.reader.stats)

    async def drain(self, holder_id: str) -> None:
        if not holder_id:
            raise InvalidArgument("pod_id", "is empty")
        await self._writer.one(Drain(holder_id))

    async def set_paused(self, queue: str, paused: bool) -> None:
        check_queue(queue, "queue")
        await self._writer.one(SetPaused(queue, paused))

    async def newest_event(self) -> int:
        """Its sequence number; 0 before the first."""
        newest = await self._reads(self._reads.reader.events, -1, 1)
        return newest[0].seq if newest else 0

    async def watch(self, after: int, types: frozenset[str]) -> AsyncGenerator[Event, None]:
        """Events after a sequence number; never ends by itself."""
        while True:
            self._committed.clear()
            events = await self._reads(self._reads.reader.events, after, EVENTS_AT_ONCE)
            for event in events:
                after = event.seq
                if not types or event.type in types:
                    yield event
            if not events:
                try:
                    async with asyncio.timeout(
                        LOOK_SECONDS
                    ):  # other pods' events ring no bell here
                        await self._committed.wait()
                except TimeoutError:
                    pass

    def committed(self, _applied: Applied) -> None:
        """Called after each transaction of this pod."""
        self._committed.set()
