"""The DLQ: list, redrive, purge."""

import math

from fleetq_server.core.names import check_kind, check_queue, check_request
from fleetq_server.core.reads import Reads
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import DeadFilter, Step, StepId
from fleetq_server.store.base import Purge, Redrive
from fleetq_server.store.writer import GroupWriter

MAX_AT_ONCE = 10_000

# Named here, since inside the class `list` is the method.
Steps = list[Step]
StepIds = list[StepId]


class DeadLetters:
    def __init__(self, writer: GroupWriter, reads: Reads) -> None:
        self._writer = writer
        self._reads = reads

    async def list(self, filter: DeadFilter, after: StepId | None, limit: int) -> Steps:
        _check(filter)
        return await self._reads(self._reads.reader.list_dead, filter, after, limit)

    async def redrive(
        self,
        filter: DeadFilter,
        *,
        limit: int,
        rate: float | None,
        dry_run: bool,
        request_id: str | None,
    ) -> StepIds:
        _check(filter, limit)
        check_request(request_id, "request_id")
        if rate is not None and not (math.isfinite(rate) and 0 < rate <= 1e6):
            raise InvalidArgument("rate", f"{rate:g} is not a positive number of steps per second")
        answer: StepIds = await self._writer.one(Redrive(filter, limit, rate, dry_run, request_id))
        return answer

    async def purge(
        self, filter: DeadFilter, *, limit: int, dry_run: bool, request_id: str | None
    ) -> StepIds:
        _check(filter, limit)
        check_request(request_id, "request_id")
        answer: StepIds = await self._writer.one(Purge(filter, limit, dry_run, request_id))
        return answer


def _check(filter: DeadFilter, limit: int = 1) -> None:
    if not 1 <= limit <= MAX_AT_ONCE:
        raise InvalidArgument("limit", f"{limit} is not from 1 to {MAX_AT_ONCE}")
    if filter.queue is not None:
        check_queue(filter.queue, "filter.queue")
    if filter.kind is not None:
        check_kind(filter.kind, "filter.kind")
    if len(filter.step_ids) > MAX_AT_ONCE:
        raise InvalidArgument(
            "filter.step_ids", f"{len(filter.step_ids)} ids; at most {MAX_AT_ONCE}"
        )
