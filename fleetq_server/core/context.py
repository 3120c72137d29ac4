"""What a handler is given, and how it is told to stop."""

import json
import threading
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from fleetq_server.core.handlers import InvalidPayload
from fleetq_server.core.names import MAX_PROGRESS_BYTES, MAX_RESULT_BYTES
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import Claim, Result


class Stop(Enum):
    """Why a handler is told to stop before its end."""

    CANCELLED = "cancelled"  # somebody cancelled the step
    FENCED = "fenced"  # this pod may no longer hold claims
    DRAINED = "drained"  # this pod is shutting down
    TIMEOUT = "timeout"


class Context:
    """One attempt of one step, as its handler sees it."""

    __slots__ = ("_cancelled", "_claim", "_report", "stopped")

    def __init__(self, claim: Claim, report: Callable[[Claim, bytes], None] | None = None) -> None:
        self._claim = claim
        self._report = report
        self._cancelled: threading.Event | None = None
        self.stopped: Stop | None = None

    @property
    def step_id(self) -> str:
        return str(self._claim.step_id)

    @property
    def kind(self) -> str:
        return self._claim.kind

    @property
    def queue(self) -> str:
        return self._claim.queue

    @property
    def attempt(self) -> int:
        """1 for the first."""
        return self._claim.attempt

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._claim.metadata

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step: give it to whatever you call, so that a
        repeated attempt does not repeat the effect."""
        return f"{self._claim.queue}/{self._claim.kind}/{self._claim.step_id}"

    @property
    def submit_key(self) -> str | None:
        """The idempotency key the step was submitted with."""
        return self._claim.idempotency_key

    @property
    def payload(self) -> bytes:
        return self._claim.payload

    def json(self) -> Any:
        """The payload as JSON.

        Raises:
            InvalidPayload: it is not JSON; left uncaught, the step goes to the DLQ as that.
        """
        try:
            return json.loads(self._claim.payload)
        except ValueError as error:
            raise InvalidPayload(f"payload is not JSON: {error}") from None

    @property
    def deadline(self) -> float | None:
        """When this attempt times out, in seconds since the epoch."""
        timeout = self._claim.timeout
        return None if timeout is None else self._claim.claimed_at + timeout

    @property
    def cancelled(self) -> threading.Event:
        """Set when the handler should stop. A coroutine is cancelled as well; a plain function
        has to look: its outcome will not count any more."""
        if self._cancelled is None:
            self._cancelled = threading.Event()
            if self.stopped is not None:
                self._cancelled.set()
        return self._cancelled

    def progress(self, data: object) -> None:
        """Reports progress, as bytes (at most 4 KiB) or something JSON can carry. The newest
        report is sent with the pod's next heartbeat.

        Raises:
            InvalidArgument: it is too large.
            RuntimeError: called in a process handler.
        """
        if self._report is None:
            raise RuntimeError("progress() is not available in a process handler")
        report = data if isinstance(data, bytes) else json.dumps(data).encode()
        if len(report) > MAX_PROGRESS_BYTES:
            raise InvalidArgument("progress", f"{len(report)} bytes; at most {MAX_PROGRESS_BYTES}")
        self._report(self._claim, report)

    def stop(self, why: Stop) -> None:
        """The first reason stays."""
        if self.stopped is None:
            self.stopped = why
        if self._cancelled is not None:
            self._cancelled.set()

    def __reduce__(self) -> tuple[type["Context"], tuple[Claim]]:
        return (Context, (self._claim,))  # for a process handler: the attempt, not the ways back


def encode_result(value: object) -> Result | None:
    """What a handler returned, as it is kept."""
    if value is None:
        return None
    result = (
        Result(value, False)
        if isinstance(value, bytes)
        else Result(json.dumps(value, allow_nan=False).encode(), True)
    )
    if len(result.data) > MAX_RESULT_BYTES:
        raise ValueError(f"the result has {len(result.data)} bytes; at most {MAX_RESULT_BYTES}")
    return result
