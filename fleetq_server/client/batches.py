"""What a caller wants to submit → steps → requests that are not too large."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypedDict

from fleetq_server.client.coalesce import MAX_BYTES, MAX_ITEMS
from fleetq_server.client.scalars import UNFIT, to_payload
from fleetq_server.errors import FleetError, InvalidArgument
from fleetq_server.model import DEFAULT_RETRY, NO_METADATA, NewStep, RetryPolicy
from fleetq_server.pb import step_pb2

_INDEX = re.compile(r"^steps\[(\d+)\]")


class StepOptions(TypedDict, total=False):
    """What `submit` and `submit_one` take besides kind and payload."""

    queue: str
    metadata: Mapping[str, str]
    priority: int
    run_at: float | None
    attempt_timeout: float | None
    retry: RetryPolicy


def new_steps(
    kind: str,
    payloads: Iterable[object],
    idempotency_keys: Iterable[str | None] | None,
    options: StepOptions,
) -> list[NewStep]:
    data = [payload_of(index, payload) for index, payload in enumerate(payloads)]
    keys = [None] * len(data) if idempotency_keys is None else list(idempotency_keys)
    if len(keys) != len(data):
        raise InvalidArgument("idempotency_keys", f"{len(keys)} keys for {len(data)} payloads")
    return [new_step(kind, each, key, options) for each, key in zip(data, keys, strict=True)]


def payload_of(index: int, payload: object) -> bytes:
    try:
        return to_payload(payload)
    except UNFIT as problem:
        raise InvalidArgument(f"steps[{index}].payload", f"not JSON: {problem}") from problem


def new_step(kind: str, payload: bytes, key: str | None, options: StepOptions) -> NewStep:
    return NewStep(
        kind,
        payload,
        options.get("queue", "default"),
        options.get("metadata", NO_METADATA),
        options.get("priority", 0),
        options.get("run_at"),
        options.get("attempt_timeout"),
        options.get("retry", DEFAULT_RETRY),
        key,
    )


def groups(steps: Sequence[step_pb2.NewStep]) -> Iterator[tuple[list[step_pb2.NewStep], int]]:
    """The steps in order, cut into what one request takes, with the size of each cut."""
    group: list[step_pb2.NewStep] = []
    total = 0
    for step in steps:
        size = step.ByteSize()
        if group and (len(group) == MAX_ITEMS or total + size > MAX_BYTES):
            yield group, total
            group, total = [], 0
        group.append(step)
        total += size
    if group:
        yield group, total


def after(done: int, error: FleetError) -> FleetError:
    """`error` of a later group, with the caller's index and a note of what is done already."""
    if done == 0:
        return error
    if isinstance(error, InvalidArgument):
        field = _INDEX.sub(lambda m: f"steps[{int(m[1]) + done}]", error.field)
        error = InvalidArgument(field, error.problem)
    error.add_note(f"the {done} steps before these were submitted")
    return error
