"""Single values, proto ↔ model: ids, times, JSON, states."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from fleetq_server.errors import InvalidArgument
from fleetq_server.model import Cause, StepId, StepState
from fleetq_server.pb import step_pb2 as pb

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

# What protobuf and json raise for values that they cannot take.
UNFIT = (TypeError, ValueError, OverflowError, RecursionError)

TO_STATE: Mapping[StepState, pb.StepState] = {
    state: cast("pb.StepState", pb.StepState.Value(f"STEP_STATE_{state.name}"))
    for state in StepState
}
TO_CAUSE: Mapping[Cause, pb.Cause] = {
    cause: cast("pb.Cause", pb.Cause.Value(f"CAUSE_{cause.name}")) for cause in Cause
}
_STATES = {number: state for state, number in TO_STATE.items()}
_CAUSES = {number: cause for cause, number in TO_CAUSE.items()}


@contextmanager
def naming(field: str) -> Iterator[None]:
    """Makes InvalidArgument of `field` of a value that does not fit."""
    try:
        yield
    except UNFIT as problem:
        raise InvalidArgument(field, str(problem)) from problem


def to_json(value: object) -> bytes:
    return _ENCODE(value).encode()


def to_payload(value: object) -> bytes:
    """bytes as they are, anything else as JSON."""
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else to_json(value)


def to_step_id(step_id: StepId | int | str) -> str:
    return str(step_id)


def to_duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def to_timestamp(seconds: float) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromNanoseconds(round(seconds * 1e9))
    return timestamp


def from_duration(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def from_timestamp(timestamp: Timestamp) -> float:
    return timestamp.seconds + timestamp.nanos / 1e9


def from_step_id(step_id: str) -> StepId:
    return StepId(int(step_id))


def from_state(state: pb.StepState) -> StepState:
    return _STATES[state]


def from_cause(cause: pb.Cause) -> Cause | None:
    return _CAUSES.get(cause)
