"""A worker's claims belong to its principal, at every pod of the fleet.

The fence inside a claim token is masked for whoever is given it, and unmasked for whoever brings
it back; the mask is a keyed hash of the step and the principal. So a token in other hands is the
proof of no claim at all, which the store answers as it does every stale one. And a holder's id has
its principal's name in front of it, so that the same id of another principal is another holder.

Nothing of this is stored but the fleet's secret, so all pods agree, whatever the store is.
"""

import hashlib
from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeAlias

import grpc.aio

from fleetq_server.core.claim import ClaimDesk
from fleetq_server.core.names import MAX_STEPS
from fleetq_server.model import Fence, make_token, read_token
from fleetq_server.pb import claim_service_pb2 as claim_pb
from fleetq_server.pb import heartbeat_service_pb2 as heartbeat_pb
from fleetq_server.rpc.claim_service import ClaimService
from fleetq_server.rpc.heartbeat_service import HeartbeatService
from fleetq_server.rpc.security.gate import current_principal

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class Masks:
    def __init__(self, secret: bytes) -> None:
        """`secret`: the fleet's own, the same at all its pods."""
        self._key = hashlib.blake2b(b"fleetq claims of principals", key=secret).digest()

    def turn(self, token: bytes) -> bytes:
        """Masks the token for the principal that calls, or takes that mask off again."""
        parts = read_token(token)
        if parts is None:
            return token  # refused later, with the name of its field
        step_id, fence = parts
        whose = b"%d %s" % (step_id, current_principal.get().name.encode())
        digest = hashlib.blake2b(whose, key=self._key, digest_size=8).digest()
        return make_token(step_id, Fence(fence ^ int.from_bytes(digest, "big") >> 1))

    def turn_each(self, items: "Iterable[_Tokened]") -> None:
        for item in islice(items, MAX_STEPS):  # of more than that, the call is refused
            item.claim_token = self.turn(item.claim_token)


_Tokened: TypeAlias = (
    claim_pb.Claim | claim_pb.Completion | claim_pb.Failure | heartbeat_pb.HeldClaim
)


class OwnedClaimService(ClaimService):
    def __init__(self, desk: ClaimDesk, masks: Masks) -> None:
        super().__init__(desk)
        self._masks = masks

    async def ClaimSteps(
        self, request: claim_pb.ClaimStepsRequest, context: Context
    ) -> claim_pb.ClaimStepsResponse:
        request.holder_id = _owned(request.holder_id)
        response = await super().ClaimSteps(request, context)
        self._masks.turn_each(response.claims)
        return response

    async def CompleteSteps(
        self, request: claim_pb.CompleteStepsRequest, context: Context
    ) -> claim_pb.CompleteStepsResponse:
        self._masks.turn_each(request.completions)
        return await super().CompleteSteps(request, context)

    async def FailSteps(
        self, request: claim_pb.FailStepsRequest, context: Context
    ) -> claim_pb.FailStepsResponse:
        self._masks.turn_each(request.failures)
        return await super().FailSteps(request, context)

    async def ReleaseSteps(
        self, request: claim_pb.ReleaseStepsRequest, context: Context
    ) -> claim_pb.ReleaseStepsResponse:
        tokens = request.claim_tokens
        tokens[:MAX_STEPS] = [self._masks.turn(token) for token in tokens[:MAX_STEPS]]
        return await super().ReleaseSteps(request, context)


class OwnedHeartbeatService(HeartbeatService):
    def __init__(self, desk: ClaimDesk, masks: Masks) -> None:
        super().__init__(desk)
        self._masks = masks

    async def Beat(
        self, request: heartbeat_pb.BeatRequest, context: Context
    ) -> heartbeat_pb.BeatResponse:
        request.holder_id = _owned(request.holder_id)
        self._masks.turn_each(request.claims)
        return await super().Beat(request, context)


def _owned(holder_id: str) -> str:
    return f"{current_principal.get().name}:{holder_id}"
