"""ClaimService: lets remote workers claim steps and settle them."""

from typing import Any

import grpc.aio

from fleetq_server.core.claim import ClaimDesk, Grant
from fleetq_server.model import Release
from fleetq_server.pb import claim_service_pb2 as pb
from fleetq_server.pb.claim_service_pb2_grpc import ClaimServiceServicer
from fleetq_server.rpc import convert, fields, sizes
from fleetq_server.rpc.long_poll import patience

Context = grpc.aio.ServicerContext[Any, Any]


class ClaimService(ClaimServiceServicer):
    def __init__(self, desk: ClaimDesk) -> None:
        self._desk = desk

    async def ClaimSteps(
        self, request: pb.ClaimStepsRequest, context: Context
    ) -> pb.ClaimStepsResponse:
        fields.count("kinds", request.kinds)
        fields.count("queues", request.queues, least=0)
        grant = await self._desk.claim(
            request.holder_id,
            fields.printable("holder_name", request.holder_name, 128),
            limit=request.max_steps,
            kinds=tuple(request.kinds),
            queues=tuple(request.queues),
            wait=patience(request.wait, context),
            request_id=request.request_id or None,
        )
        response = self._granted(grant)
        fit = sizes.fitting(response, response.claims)
        if surplus := grant.claims[fit:]:
            del response.claims[fit:]
            await self._desk.release([Release(c.step_id, c.fence) for c in surplus])
        return response

    def _granted(self, grant: Grant) -> pb.ClaimStepsResponse:
        response = pb.ClaimStepsResponse(
            heartbeat_interval=convert.duration(self._desk.heartbeat_interval),
            dead_threshold=convert.duration(self._desk.dead_threshold),
            draining=grant.draining,
        )
        add = response.claims.add
        for claim in grant.claims:
            convert.put_claim(add(), claim)
        return response

    async def CompleteSteps(
        self, request: pb.CompleteStepsRequest, context: Context
    ) -> pb.CompleteStepsResponse:
        fields.count("completions", request.completions)
        items = fields.each("completions", request.completions, convert.completion)
        verdicts = await self._desk.complete(items)
        return pb.CompleteStepsResponse(outcomes=convert.outcomes(verdicts))

    async def FailSteps(
        self, request: pb.FailStepsRequest, context: Context
    ) -> pb.FailStepsResponse:
        fields.count("failures", request.failures)
        items = fields.each("failures", request.failures, convert.failure)
        return pb.FailStepsResponse(outcomes=convert.outcomes(await self._desk.fail(items)))

    async def ReleaseSteps(
        self, request: pb.ReleaseStepsRequest, context: Context
    ) -> pb.ReleaseStepsResponse:
        fields.count("claim_tokens", request.claim_tokens)
        items = fields.each("claim_tokens", request.claim_tokens, convert.release)
        return pb.ReleaseStepsResponse(outcomes=convert.outcomes(await self._desk.release(items)))
