"""Enums of the protos ↔ enums of the model."""

from collections.abc import Mapping

from fleetq_server.model import Cause, HolderStatus, HolderType, StepState, Verdict
from fleetq_server.pb import claim_service_pb2 as claim_pb
from fleetq_server.pb import fleet_service_pb2 as fleet_pb
from fleetq_server.pb import step_pb2

STATES: Mapping[StepState, step_pb2.StepState] = {
    StepState.SCHEDULED: step_pb2.STEP_STATE_SCHEDULED,
    StepState.PENDING: step_pb2.STEP_STATE_PENDING,
    StepState.CLAIMED: step_pb2.STEP_STATE_CLAIMED,
    StepState.COMPLETED: step_pb2.STEP_STATE_COMPLETED,
    StepState.FAILED: step_pb2.STEP_STATE_FAILED,
    StepState.CANCELLED: step_pb2.STEP_STATE_CANCELLED,
}
STATE_OF: Mapping[int, StepState] = {number: state for state, number in STATES.items()}

CAUSES: Mapping[Cause, step_pb2.Cause] = {
    Cause.HANDLER_ERROR: step_pb2.CAUSE_HANDLER_ERROR,
    Cause.TIMEOUT: step_pb2.CAUSE_TIMEOUT,
    Cause.CRASHED: step_pb2.CAUSE_CRASHED,
    Cause.UNKNOWN_KIND: step_pb2.CAUSE_UNKNOWN_KIND,
    Cause.INVALID_PAYLOAD: step_pb2.CAUSE_INVALID_PAYLOAD,
}
CAUSE_OF: Mapping[int, Cause] = {number: cause for cause, number in CAUSES.items()}

HOLDER_TYPES: Mapping[HolderType, fleet_pb.HolderType] = {
    HolderType.POD: fleet_pb.HOLDER_TYPE_POD,
    HolderType.WORKER: fleet_pb.HOLDER_TYPE_WORKER,
}

HOLDER_STATUSES: Mapping[HolderStatus, fleet_pb.HolderStatus] = {
    HolderStatus.LIVE: fleet_pb.HOLDER_STATUS_LIVE,
    HolderStatus.DRAINING: fleet_pb.HOLDER_STATUS_DRAINING,
    HolderStatus.DEAD: fleet_pb.HOLDER_STATUS_DEAD,
    HolderStatus.GONE: fleet_pb.HOLDER_STATUS_GONE,
}


def _lost(reason: claim_pb.LostReason) -> claim_pb.ClaimOutcome:
    return claim_pb.ClaimOutcome(code=claim_pb.OUTCOME_CODE_LEASE_LOST, reason=reason)


OUTCOMES: Mapping[Verdict, claim_pb.ClaimOutcome] = {
    Verdict.OK: claim_pb.ClaimOutcome(code=claim_pb.OUTCOME_CODE_OK),
    Verdict.CANCEL_REQUESTED: claim_pb.ClaimOutcome(code=claim_pb.OUTCOME_CODE_CANCEL_REQUESTED),
    Verdict.SUPERSEDED: _lost(claim_pb.LOST_REASON_SUPERSEDED),
    Verdict.EXPIRED: _lost(claim_pb.LOST_REASON_EXPIRED),
    Verdict.CANCELLED: _lost(claim_pb.LOST_REASON_CANCELLED),
    Verdict.FINISHED: _lost(claim_pb.LOST_REASON_FINISHED),
}
