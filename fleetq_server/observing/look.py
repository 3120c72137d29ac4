"""One look at a pod and its fleet: all that a scrape tells."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fleetq_server.clock import Clock
from fleetq_server.core.reads import Reads
from fleetq_server.errors import FleetError
from fleetq_server.model import Cause, Stats
from fleetq_server.observing.histogram import Counted
from fleetq_server.observing.measures import Measures
from fleetq_server.telemetry import get_logger

STORE_SECONDS = 5.0  # a store that hangs must not hide what the pod knows by itself
PAUSE_FACTOR = 20  # counting the DLQ reads all of it: at most this share of the reader's time

log = get_logger()


@dataclass(frozen=True, slots=True)
class Own:
    """What a pod knows of itself without asking anybody."""

    pod_id: str
    name: str
    leading: bool
    heartbeat_age: float  # seconds
    running: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Look:
    own: Own
    stats: Stats | None  # None: the store does not answer
    dead: Mapping[Cause, int]
    claim_latency: Counted
    executions: Mapping[str, Counted]  # by outcome
    commit_sizes: Counted
    gate_waits: Counted


class Looker:
    def __init__(
        self, own: Callable[[], Own], measures: Measures, reads: Reads, clock: Clock
    ) -> None:
        self._own = own
        self._measures = measures
        self._reads = reads
        self._clock = clock
        self._dead: Mapping[Cause, int] = {}
        self._count_again_at = 0.0

    async def look(self) -> Look:
        stats: Stats | None = None
        dead: Mapping[Cause, int] = {}
        try:
            async with asyncio.timeout(STORE_SECONDS):
                stats = await self._reads(self._reads.reader.stats)
                dead = await self._causes() if stats.totals.failed else {}
        except (FleetError, TimeoutError) as error:
            log.warning("metrics without the store", cause=str(error) or "no answer")
        measures = self._measures
        return Look(
            self._own(),
            stats,
            dead,
            measures.claim_latency(),
            measures.executions(),
            measures.commit_sizes(),
            measures.gate_waits(),
        )

    async def _causes(self) -> Mapping[Cause, int]:
        begun = self._clock.monotonic()
        if begun >= self._count_again_at:
            self._dead = await self._reads(self._reads.reader.dead_causes)
            ended = self._clock.monotonic()
            self._count_again_at = ended + PAUSE_FACTOR * (ended - begun)
        return self._dead
