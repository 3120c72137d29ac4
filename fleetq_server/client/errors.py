"""gRPC status → fleetq_server.errors: the way back from `rpc/status`."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from fleetq_server.errors import (
    DeadlineExceeded,
    Draining,
    FleetError,
    Forbidden,
    IdempotencyConflict,
    IllegalTransition,
    InternalError,
    InvalidArgument,
    LeaseLost,
    NoPodReachable,
    NotFound,
    NotLeader,
    Overloaded,
    StoreUnavailable,
    Unauthorized,
    Unavailable,
)

DETAILS_KEY = "grpc-status-details-bin"
DEFAULT_RETRY_AFTER = 0.2
_NOT_FOUND = "_NOT_FOUND"  # the reason names what there is none of: STEP_NOT_FOUND


class Details(NamedTuple):
    """What a status says beyond its code."""

    message: str
    reason: str = ""
    fields: Mapping[str, str] = {}
    retry_after: float = DEFAULT_RETRY_AFTER


def from_rpc_error(error: grpc.aio.AioRpcError) -> FleetError:
    """The exception a caller sees instead of `error`."""
    details = read_details(error)
    if details.reason.endswith(_NOT_FOUND):
        return _not_found(details)
    by_reason = _BY_REASON.get(details.reason)
    return by_reason(details) if by_reason else _by_code(error.code(), details)


def read_details(error: grpc.aio.AioRpcError) -> Details:
    """The google.rpc details of a status; unreadable ones count as none."""
    details = Details(error.details() or "")
    # The stubs give it the type it has in synchronous gRPC.
    trailers = cast(grpc.aio.Metadata | None, error.trailing_metadata())
    value = trailers.get(DETAILS_KEY) if trailers is not None else None
    return _unpack(value, details) if isinstance(value, bytes) else details


def _unpack(value: bytes, details: Details) -> Details:
    info, retry = ErrorInfo(), RetryInfo()
    try:
        for detail in Status.FromString(value).details:
            if detail.Unpack(info):
                details = details._replace(reason=info.reason, fields=dict(info.metadata))
            elif detail.Unpack(retry):
                delay = retry.retry_delay
                details = details._replace(retry_after=delay.seconds + delay.nanos / 1e9)
    except DecodeError:  # a proxy on the way may have cut the trailer
        return details
    return details


def _invalid(details: Details) -> FleetError:
    field = details.fields.get("field", "request")
    problem = details.fields.get("problem") or details.message.removeprefix(f"{field}: ")
    return InvalidArgument(field, problem)


def _not_found(details: Details) -> FleetError:
    what = details.fields.get("what") or details.reason.removesuffix(_NOT_FOUND).lower()
    return NotFound(what, details.fields.get("name", ""))


def _idempotency(details: Details) -> FleetError:
    return IdempotencyConflict(details.fields.get("key", ""), details.fields.get("step_id") or None)


def _overloaded(details: Details) -> FleetError:
    what = details.fields.get("what") or details.message.partition("; try again in")[0]
    return Overloaded(what, details.retry_after)


def _lease_lost(details: Details) -> FleetError:
    return LeaseLost(details.fields.get("reason", "expired"), details.message)


def _internal(details: Details) -> FleetError:
    return InternalError(details.message, details.fields.get("log_id", ""))


_BY_REASON: Mapping[str, Callable[[Details], FleetError]] = {
    "FIELD_INVALID": _invalid,
    "IDEMPOTENCY_CONFLICT": _idempotency,
    "STATE_CONFLICT": lambda d: IllegalTransition(d.message),
    "LEASE_LOST": _lease_lost,
    "NOT_LEADER": lambda d: NotLeader(d.message),
    "OVERLOADED": _overloaded,
    "UNAUTHORIZED": lambda d: Unauthorized(d.message),
    "FORBIDDEN": lambda d: Forbidden(d.message),
    "UNAVAILABLE": lambda d: Unavailable(d.message, d.retry_after),
    "STORE_UNAVAILABLE": lambda d: StoreUnavailable(d.message, d.retry_after),
    "POD_DRAINING": lambda d: Draining(d.message, d.retry_after),
    "INTERNAL": _internal,
}


def _by_code(code: grpc.StatusCode, details: Details) -> FleetError:
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return NoPodReachable(details.message)
        case grpc.StatusCode.CANCELLED:  # the pod stopped, or this client was closed, meanwhile
            return Unavailable("the call was broken off")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded("no answer in time; whether the call took effect is unknown")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details.message:
            return InvalidArgument("request", "is larger than a pod accepts; send less at once")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(details.message, details.retry_after)
        case grpc.StatusCode.INVALID_ARGUMENT:
            return _invalid(details)
        case grpc.StatusCode.UNAUTHENTICATED:
            return Unauthorized(details.message)
        case grpc.StatusCode.PERMISSION_DENIED:
            return Forbidden(details.message)
        case grpc.StatusCode.UNIMPLEMENTED:
            return InternalError("the pod does not know this call; is it an older version?")
        case _:
            return InternalError(details.message or code.name, details.fields.get("log_id", ""))
