"""HeartbeatService: keeps remote workers, and with them their claims, alive."""

from typing import Any

import grpc.aio

from fleetq_server.core.claim import ClaimDesk
from fleetq_server.pb import heartbeat_service_pb2 as pb
from fleetq_server.pb.heartbeat_service_pb2_grpc import HeartbeatServiceServicer
from fleetq_server.rpc import convert, fields

Context = grpc.aio.ServicerContext[Any, Any]


class HeartbeatService(HeartbeatServiceServicer):
    def __init__(self, desk: ClaimDesk) -> None:
        self._desk = desk

    async def Beat(self, request: pb.BeatRequest, context: Context) -> pb.BeatResponse:
        name = fields.printable("holder_name", request.holder_name, 128)
        fields.count("claims", request.claims, least=0)
        held = fields.each("claims", request.claims, convert.held)
        reply = await self._desk.beat(
            request.holder_id,
            name,
            progress=[report for _, report in held if report is not None],
            ask=[claim for claim, _ in held],
        )
        return pb.BeatResponse(
            outcomes=convert.outcomes(reply.verdicts),
            drain=reply.draining,
            next_interval=convert.duration(self._desk.heartbeat_interval),
            dead_threshold=convert.duration(self._desk.dead_threshold),
        )
