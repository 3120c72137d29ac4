"""Returning dead holders' steps to work. The leader's duty; the store checks the term."""

from fleetq_server.errors import FleetError
from fleetq_server.failpoints import hit
from fleetq_server.model import HolderKey
from fleetq_server.store.base import ExpireAttempts, Recover, Suspect
from fleetq_server.store.writer import GroupWriter
from fleetq_server.telemetry import get_logger

BATCH = 2000
log = get_logger()


class Recovery:
    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer

    async def run(self, key: HolderKey, term: int, suspects: tuple[Suspect, ...]) -> None:
        """Declares the suspects dead and recovers all dead holders' steps, batch by batch: also of
        those whom others declared dead, for a claim sweeps only a part of their steps."""
        holders, recovered, late, batch = len(suspects), 0, 0, BATCH
        while batch == BATCH:
            batch, timeouts = await self._batch(key, term, suspects)
            suspects = ()
            recovered += batch
            late += timeouts
            hit("recovery.between_batches")
        if holders or recovered:
            log.info("recovered", term=term, holders=holders, steps=recovered)
        if late:
            log.info("attempts ran out of time", term=term, steps=late)

    async def _batch(
        self, key: HolderKey, term: int, suspects: tuple[Suspect, ...]
    ) -> tuple[int, int]:
        ops = (Recover(key, term, suspects, BATCH), ExpireAttempts(key, term))
        recovered, late = await self._writer.together(ops, internal=True)
        if isinstance(recovered, FleetError):
            raise recovered
        assert isinstance(recovered, int)
        return recovered, late if isinstance(late, int) else 0
