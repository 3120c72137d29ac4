"""FleetService: looks at the fleet and steers it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

import grpc.aio

from fleetq_server.core.deadletter import DeadLetters
from fleetq_server.core.fleet import Fleet
from fleetq_server.errors import Overloaded
from fleetq_server.pb import fleet_service_pb2 as pb
from fleetq_server.pb.fleet_service_pb2_grpc import FleetServiceServicer
from fleetq_server.rpc import convert, fields, paging

Context = grpc.aio.ServicerContext[Any, Any]

MAX_WATCHERS = 64
AFTER_KEY = "fleetq-after"
DEFAULT_LIMIT = 1000  # of RedriveSteps and PurgeSteps


class FleetService(FleetServiceServicer):
    def __init__(self, fleet: Fleet, dead: DeadLetters) -> None:
        self._fleet = fleet
        self._dead = dead
        self._watchers = 0

    async def ListPods(self, request: pb.ListPodsRequest, context: Context) -> pb.ListPodsResponse:
        holders = await self._fleet.pods(request.include_ended)
        leader = (await self._fleet.leadership()).holder_id
        return pb.ListPodsResponse(pods=[convert.pod(holder, leader) for holder in holders])

    async def GetLeader(
        self, request: pb.GetLeaderRequest, context: Context
    ) -> pb.GetLeaderResponse:
        leadership = await self._fleet.leadership()
        since = None if leadership.since is None else convert.time(leadership.since)
        return pb.GetLeaderResponse(pod_id=leadership.holder_id, term=leadership.term, since=since)

    async def DrainPod(self, request: pb.DrainPodRequest, context: Context) -> pb.DrainPodResponse:
        await self._fleet.drain(fields.printable("pod_id", request.pod_id, 97))
        return pb.DrainPodResponse()

    async def GetStats(self, request: pb.GetStatsRequest, context: Context) -> pb.GetStatsResponse:
        return convert.stats(await self._fleet.stats())

    async def PauseQueue(
        self, request: pb.PauseQueueRequest, context: Context
    ) -> pb.PauseQueueResponse:
        await self._fleet.set_paused(request.queue, True)
        return pb.PauseQueueResponse()

    async def ResumeQueue(
        self, request: pb.ResumeQueueRequest, context: Context
    ) -> pb.ResumeQueueResponse:
        await self._fleet.set_paused(request.queue, False)
        return pb.ResumeQueueResponse()

    async def ListDeadSteps(
        self, request: pb.ListDeadStepsRequest, context: Context
    ) -> pb.ListDeadStepsResponse:
        response = pb.ListDeadStepsResponse()
        wanted = convert.dead_filter(request.filter)
        fetch = partial(self._dead.list, wanted)
        response.next_page_token = await paging.fill(
            response.steps, fetch, wanted, request.page_size, request.page_token
        )
        return response

    async def RedriveSteps(
        self, request: pb.RedriveStepsRequest, context: Context
    ) -> pb.RedriveStepsResponse:
        step_ids = await self._dead.redrive(
            convert.dead_filter(request.filter),
            limit=request.limit or DEFAULT_LIMIT,
            rate=fields.rate(request.rate) if request.HasField("rate") else None,
            dry_run=request.dry_run,
            request_id=request.request_id or None,
        )
        return pb.RedriveStepsResponse(step_ids=map(str, step_ids))

    async def PurgeSteps(
        self, request: pb.PurgeStepsRequest, context: Context
    ) -> pb.PurgeStepsResponse:
        step_ids = await self._dead.purge(
            convert.dead_filter(request.filter),
            limit=request.limit or DEFAULT_LIMIT,
            dry_run=request.dry_run,
            request_id=request.request_id or None,
        )
        return pb.PurgeStepsResponse(step_ids=map(str, step_ids))

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        after, types = convert.watch(request)
        if self._watchers >= MAX_WATCHERS:
            raise Overloaded(f"{MAX_WATCHERS} watchers at this pod already", retry_after=5.0)
        self._watchers += 1
        try:
            if after is None:
                after = await self._fleet.newest_event()
            if await _announced(after, context):
                async for event in self._fleet.watch(after, types):
                    yield pb.WatchEventsResponse(event=convert.event(event))
        finally:
            self._watchers -= 1


async def _announced(after: int, context: Context) -> bool:
    """False: the caller is gone already."""
    # Never broken off half-way, as by a drain: grpc.aio would send it again with the status, fail
    # at that, and answer nothing.
    sending = asyncio.ensure_future(context.send_initial_metadata(((AFTER_KEY, str(after)),)))
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        with suppress(grpc.aio.InternalError):
            await sending
        raise
    except grpc.aio.InternalError:
        return False
    return True
