"""Exception → gRPC status: the one table, and the error details that go with it (AIP-193)."""

from collections.abc import Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from fleetq_server.errors import (
    Conflict,
    Draining,
    Forbidden,
    IdempotencyConflict,
    IllegalTransition,
    InvalidArgument,
    LeaseLost,
    NotFound,
    NotLeader,
    Overloaded,
    StoreUnavailable,
    Unauthorized,
    Unavailable,
)

DOMAIN = "fleetq"
DETAILS_KEY = "grpc-status-details-bin"

# All trailing metadata together may take 8 KiB, each character 12 bytes when percent-encoded.
LONGEST_TEXT = 250
LONGEST_VALUE = 128

TABLE: Mapping[type[BaseException], tuple[grpc.StatusCode, str]] = {
    InvalidArgument: (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
    NotFound: (grpc.StatusCode.NOT_FOUND, "{what}_NOT_FOUND"),
    IdempotencyConflict: (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_CONFLICT"),
    IllegalTransition: (grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT"),
    Conflict: (grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT"),
    LeaseLost: (grpc.StatusCode.FAILED_PRECONDITION, "LEASE_LOST"),
    NotLeader: (grpc.StatusCode.FAILED_PRECONDITION, "NOT_LEADER"),
    Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
    StoreUnavailable: (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"),
    Draining: (grpc.StatusCode.UNAVAILABLE, "POD_DRAINING"),
    Unavailable: (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
    Unauthorized: (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHORIZED"),
    Forbidden: (grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN"),
}
INTERNAL = (grpc.StatusCode.INTERNAL, "INTERNAL")


def known(error: BaseException) -> bool:
    """Whether it was meant for the caller; anything else is a bug of ours."""
    return type(error) in TABLE


def code_of(error: BaseException) -> grpc.StatusCode:
    return _row(error)[0]


def status_of(error: BaseException, log_id: str = "") -> Status:
    """The status to send. Of an error that is not in the table nothing but `log_id` is told."""
    code, reason = _row(error)
    status = Status(code=code.value[0], message=_text(error))
    metadata = _variables(error) if known(error) else {"log_id": log_id}
    info = ErrorInfo(reason=reason, domain=DOMAIN)
    for key, value in metadata.items():
        info.metadata[key] = value[:LONGEST_VALUE]
    _attach(status, info)
    if isinstance(error, InvalidArgument):
        _attach(status, _violation(error))
    if isinstance(error, Overloaded | Unavailable):
        _attach(status, _retry(error.retry_after))
    return status


def trailers(status: Status) -> tuple[tuple[str, bytes], ...]:
    return ((DETAILS_KEY, status.SerializeToString()),)


def _row(error: BaseException) -> tuple[grpc.StatusCode, str]:
    code, reason = TABLE.get(type(error), INTERNAL)
    if isinstance(error, NotFound):
        reason = reason.format(what=error.what.upper())
    return code, reason


def _text(error: BaseException) -> str:
    text = str(error) if known(error) else "internal error"
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _variables(error: BaseException) -> dict[str, str]:
    match error:
        case InvalidArgument():
            return {"field": error.field}
        case NotFound():
            return {"what": error.what, "name": error.name}
        case IdempotencyConflict():
            return {"key": error.key, "step_id": error.step_id or ""}
        case LeaseLost():
            return {"reason": error.reason}
        case Overloaded():
            return {"what": error.what}
        case _:
            return {}


def _violation(error: InvalidArgument) -> BadRequest:
    description = error.problem[:LONGEST_TEXT]
    field = error.field[:LONGEST_VALUE]
    violation = BadRequest.FieldViolation(field=field, description=description)
    return BadRequest(field_violations=[violation])


def _retry(seconds: float) -> RetryInfo:
    delay = Duration()
    delay.FromMilliseconds(round(seconds * 1000))
    return RetryInfo(retry_delay=delay)


def _attach(status: Status, detail: Message) -> None:
    status.details.add().Pack(detail)
