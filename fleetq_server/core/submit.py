"""Submit and cancel: what may enter the queue."""

import math
from collections.abc import Sequence

from fleetq_server.core.names import (
    MAX_KEY,
    MAX_METADATA,
    MAX_METADATA_KEY,
    MAX_METADATA_VALUE,
    MAX_PAYLOAD_BYTES,
    MAX_PRIORITY,
    MAX_STEPS,
    check_kind,
    check_queue,
    check_request,
    check_seconds,
)
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import DEFAULT_RETRY, NewStep, RetryPolicy, StepId, StepState, Submitted
from fleetq_server.store.base import Cancel, Submit
from fleetq_server.store.writer import GroupWriter

LATEST = 253402300799.0  # the end of the year 9999, where datetime ends
MAX_NAMES_KEPT = 4096


class Submitter:
    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer
        self._good_names: set[tuple[str, str]] = set()  # (queue, kind) checked before

    async def submit(self, steps: Sequence[NewStep], request_id: str | None) -> list[Submitted]:
        if not 1 <= len(steps) <= MAX_STEPS:
            raise InvalidArgument("steps", f"{len(steps)} steps; send 1 to {MAX_STEPS} at a time")
        check_request(request_id, "request_id")
        for index, step in enumerate(steps):
            self._check(step, index)
        answer: list[Submitted] = await self._writer.one(Submit(steps, request_id))
        return answer

    async def cancel(self, step_ids: Sequence[StepId]) -> list[StepState | None]:
        answer: list[StepState | None] = await self._writer.one(Cancel(step_ids))
        return answer

    def _check(self, step: NewStep, index: int) -> None:
        name = (step.queue, step.kind)
        if name not in self._good_names:
            check_queue(step.queue, f"steps[{index}].queue")
            check_kind(step.kind, f"steps[{index}].kind")
            if len(self._good_names) < MAX_NAMES_KEPT:
                self._good_names.add(name)
        if len(step.payload) > MAX_PAYLOAD_BYTES:
            raise InvalidArgument(
                f"steps[{index}].payload",
                f"{len(step.payload)} bytes; at most {MAX_PAYLOAD_BYTES}: "
                "keep large data elsewhere and send its name",
            )
        if not -MAX_PRIORITY <= step.priority <= MAX_PRIORITY:
            raise InvalidArgument(
                f"steps[{index}].priority", f"{step.priority} is not from -1000 to 1000"
            )
        if step.metadata:
            _check_metadata(step, f"steps[{index}].metadata")
        if step.timeout is not None:
            check_seconds(step.timeout, f"steps[{index}].timeout", least=0.001)
        if step.run_at is not None and not (
            math.isfinite(step.run_at) and 0 <= step.run_at <= LATEST
        ):
            raise InvalidArgument(
                f"steps[{index}].run_at", "is not between the years 1970 and 9999"
            )
        if step.idempotency_key is not None and not 1 <= len(step.idempotency_key) <= MAX_KEY:
            raise InvalidArgument(
                f"steps[{index}].idempotency_key", f"must have 1 to {MAX_KEY} characters"
            )
        if step.retry is not DEFAULT_RETRY:
            _check_retry(step.retry, f"steps[{index}].retry")


def _check_metadata(step: NewStep, field: str) -> None:
    if len(step.metadata) > MAX_METADATA:
        raise InvalidArgument(field, f"{len(step.metadata)} entries; at most {MAX_METADATA}")
    for key, value in step.metadata.items():
        if not 1 <= len(key) <= MAX_METADATA_KEY:
            raise InvalidArgument(field, f"a key must have 1 to {MAX_METADATA_KEY} characters")
        if len(value) > MAX_METADATA_VALUE:
            raise InvalidArgument(
                f"{field}[{key}]", f"{len(value)} characters; at most {MAX_METADATA_VALUE}"
            )


def _check_retry(retry: RetryPolicy, field: str) -> None:
    if not 1 <= retry.max_attempts <= 1000:
        raise InvalidArgument(
            f"{field}.max_attempts", f"{retry.max_attempts} is not from 1 to 1000"
        )
    check_seconds(retry.initial_delay, f"{field}.initial_delay")
    check_seconds(retry.max_delay, f"{field}.max_delay")
    if not (math.isfinite(retry.multiplier) and 1 <= retry.multiplier <= 100):
        raise InvalidArgument(f"{field}.multiplier", f"{retry.multiplier:g} is not from 1 to 100")
    if not (math.isfinite(retry.jitter) and 0 <= retry.jitter <= 1):
        raise InvalidArgument(f"{field}.jitter", f"{retry.jitter:g} is not from 0 to 1")
    if len(retry.non_retryable) > 32 or any(
        not 1 <= len(name) <= 128 for name in retry.non_retryable
    ):
        raise InvalidArgument(f"{field}.non_retryable", "at most 32 names of 1 to 128 characters")
