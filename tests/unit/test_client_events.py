"""A stream of events that is lost goes on without a gap."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest

from fleetq_server.client import AsyncClient
from fleetq_server.pb import fleet_service_pb2 as pb
from fleetq_server.pb.fleet_service_pb2_grpc import (
    FleetServiceServicer,
    add_FleetServiceServicer_to_server,
)

Context = grpc.aio.ServicerContext[Any, Any]


class Streams(FleetServiceServicer):
    """A pod's edge: each stream is what the next of `lives` says, and then lost."""

    def __init__(self, *lives: list[int]) -> None:
        self.lives = list(lives)
        self.asked: list[int | None] = []
        self.begun = asyncio.Event()
        self.may_be_lost = asyncio.Event()

    async def GetLeader(
        self, _request: pb.GetLeaderRequest, _context: Context
    ) -> pb.GetLeaderResponse:
        return pb.GetLeaderResponse()

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        self.asked.append(request.after if request.HasField("after") else None)
        await context.send_initial_metadata((("fleetq-after", str(self.asked[-1] or 7)),))
        self.begun.set()
        await self.may_be_lost.wait()
        for seq in self.lives.pop(0):
            yield pb.WatchEventsResponse(event=pb.Event(seq=seq, type="submitted"))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the pod is gone")


@pytest.mark.parametrize(
    ("lives", "asked"),
    [([[], [8, 9]], [None, 7]), ([[8], [], [9]], [None, 8, 8])],
    ids=["before its first event", "between events"],
)
async def test_a_lost_stream_goes_on_where_it_was(
    lives: list[list[int]], asked: list[int | None]
) -> None:
    streams = Streams(*lives)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_FleetServiceServicer_to_server(streams, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with asyncio.timeout(20), AsyncClient(f"127.0.0.1:{port}") as client:
        events = client.events()
        first = asyncio.ensure_future(anext(events))
        await streams.begun.wait()
        # Answers come in the order they were sent: after this one the stream's beginning is known.
        # When its end comes along, grpc.aio may tell the end alone.
        await client.leader()
        streams.may_be_lost.set()
        seen = [(await first).seq, (await anext(events)).seq]
        await events.aclose()
    await server.stop(None)
    assert (seen, streams.asked) == ([8, 9], asked)
