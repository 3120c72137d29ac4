"""Which status an error becomes, and that no status tells more than it should."""

import re
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from fleetq_server import errors
from fleetq_server.errors import FleetError
from fleetq_server.rpc import status

# What only a client raises, or a pod that does not get as far as serving.
NEVER_SENT = {
    errors.FleetError,
    errors.NoPodReachable,
    errors.ClientClosed,
    errors.DeadlineExceeded,
    errors.ConfigError,
    errors.StoreRefused,
    errors.InternalError,
}

CASES: list[tuple[FleetError, grpc.StatusCode, str, dict[str, str]]] = [
    (
        errors.InvalidArgument("steps[3].queue", "is no queue name"),
        grpc.StatusCode.INVALID_ARGUMENT,
        "FIELD_INVALID",
        {"field": "steps[3].queue"},
    ),
    (
        errors.NotFound("step", "17"),
        grpc.StatusCode.NOT_FOUND,
        "STEP_NOT_FOUND",
        {"what": "step", "name": "17"},
    ),
    (
        errors.NotFound("pod", "x"),
        grpc.StatusCode.NOT_FOUND,
        "POD_NOT_FOUND",
        {"what": "pod", "name": "x"},
    ),
    (
        errors.NotFound("queue", "q"),
        grpc.StatusCode.NOT_FOUND,
        "QUEUE_NOT_FOUND",
        {"what": "queue", "name": "q"},
    ),
    (
        errors.IdempotencyConflict("k", "17"),
        grpc.StatusCode.ALREADY_EXISTS,
        "IDEMPOTENCY_CONFLICT",
        {"key": "k", "step_id": "17"},
    ),
    (errors.Conflict("no"), grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT", {}),
    (errors.IllegalTransition("no"), grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT", {}),
    (
        errors.LeaseLost("expired"),
        grpc.StatusCode.FAILED_PRECONDITION,
        "LEASE_LOST",
        {"reason": "expired"},
    ),
    (errors.NotLeader("over"), grpc.StatusCode.FAILED_PRECONDITION, "NOT_LEADER", {}),
    (
        errors.Overloaded("9 wait", 2.5),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "OVERLOADED",
        {"what": "9 wait"},
    ),
    (errors.StoreUnavailable("disk full"), grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", {}),
    (errors.Draining("ending"), grpc.StatusCode.UNAVAILABLE, "POD_DRAINING", {}),
    (errors.Unavailable("not now"), grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", {}),
    (errors.Unauthorized("no"), grpc.StatusCode.UNAUTHENTICATED, "UNAUTHORIZED", {}),
    (errors.Forbidden("no"), grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN", {}),
]


def every_error(base: type[FleetError] = FleetError) -> set[type[FleetError]]:
    own = {cls for cls in base.__subclasses__() if cls.__module__ == errors.__name__}
    return {base}.union(*map(every_error, own))


def test_every_error_that_a_pod_can_raise_is_in_the_table() -> None:
    assert set(status.TABLE) == every_error() - NEVER_SENT
    assert {type(error) for error, *_ in CASES} == set(status.TABLE)


@pytest.mark.parametrize(("error", "code", "reason", "metadata"), CASES, ids=repr)
def test_an_error_becomes_its_status(
    error: FleetError, code: grpc.StatusCode, reason: str, metadata: dict[str, str]
) -> None:
    answer = status.status_of(error)
    info = detail(answer, ErrorInfo)
    assert status.code_of(error) is code
    assert answer.code == code.value[0]
    assert answer.message == str(error)
    assert (info.domain, info.reason, dict(info.metadata)) == ("fleetq", reason, metadata)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]", reason)


def test_a_wrong_field_is_told_as_a_violation() -> None:
    answer = status.status_of(errors.InvalidArgument("steps[3].queue", "is no queue name"))
    [violation] = detail(answer, BadRequest).field_violations
    assert (violation.field, violation.description) == ("steps[3].queue", "is no queue name")


@pytest.mark.parametrize("error", [errors.Overloaded("x", 2.5), errors.StoreUnavailable("x", 2.5)])
def test_who_may_try_again_is_told_when(error: FleetError) -> None:
    assert detail(status.status_of(error), RetryInfo).retry_delay.ToMilliseconds() == 2500


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("postgresql://fleet:secret@db"),
        errors.ConfigError("secret"),
        errors.FleetError("secret"),
        KeyError("secret"),
    ],
)
def test_a_bug_tells_nothing_but_where_its_log_line_is(error: Exception) -> None:
    answer = status.status_of(error, log_id="0123abcd")
    assert answer.code == grpc.StatusCode.INTERNAL.value[0]
    assert answer.message == "internal error"
    assert dict(detail(answer, ErrorInfo).metadata) == {"log_id": "0123abcd"}
    assert b"secret" not in answer.SerializeToString()


def test_a_status_stays_small_whatever_it_is_about() -> None:
    endless = "\U0001f60a" * 10_000
    for error in (errors.InvalidArgument(endless, endless), errors.IdempotencyConflict(endless)):
        answer = status.status_of(error)
        [(_, value)] = status.trailers(answer)
        on_the_wire = 3 * len(answer.message.encode()) + 4 * len(value) // 3
        assert on_the_wire < 8192


def detail(answer: Any, kind: Any) -> Any:
    [found] = [any_ for any_ in answer.details if any_.Is(kind.DESCRIPTOR)]
    message = kind()
    found.Unpack(message)
    return message
