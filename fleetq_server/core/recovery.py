"""Returning dead holders' steps to work. The leader's duty; the store checks the term."""

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
        self._unfinished_term: int | None = None

    async def run(self, key: HolderKey, term: int, suspects: tuple[Suspect, ...]) -> None:
        """Declares the suspects dead and recovers all dead holders' steps, batch by batch."""
        if suspects or term != self._unfinished_term:
            recovered = await self._recover(key, term, suspects)
            self._unfinished_term = term  # the term before may have ended between two batches
            if suspects or recovered:
                log.info("recovered", term=term, holders=len(suspects), steps=recovered)
        late: int = await self._writer.one(ExpireAttempts(key, term), internal=True)
        if late:
            log.info("attempts ran out of time", term=term, steps=late)

    async def _recover(self, key: HolderKey, term: int, suspects: tuple[Suspect, ...]) -> int:
        total, batch = 0, BATCH
        while batch == BATCH:
            batch = await self._writer.one(Recover(key, term, suspects, BATCH), internal=True)
            suspects = ()
            total += batch
            hit("recovery.between_batches")
        return total
