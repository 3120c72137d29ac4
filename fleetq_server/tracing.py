"""Spans of OpenTelemetry: a step carries the trace of its submit in its metadata, as W3C says, so
that every attempt, wherever it runs, is part of that trace. Needs the extra `otel`.

Names and attributes are those of the semantic conventions for messaging.
"""

import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fleetq_server.telemetry import current_attempt

W3C = TraceContextTextMapPropagator()
Function = TypeVar("Function", bound=Callable[..., Any])


class Attempt(Protocol):
    """What a handler is given."""

    @property
    def step_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...
    @property
    def payload(self) -> bytes: ...


@contextmanager
def submitting(
    queue: str = "default", metadata: Mapping[str, str] | None = None
) -> Iterator[dict[str, str]]:
    """A span `send QUEUE` around a submit. Gives the metadata to submit with.

    Args:
        queue: Where the steps go.
        metadata: What else is to travel with the steps.
    """
    attributes = _attributes("send", queue)
    with _tracer().start_as_current_span(
        f"send {queue}", kind=SpanKind.PRODUCER, attributes=attributes
    ):
        carrier = dict(metadata or {})
        W3C.inject(carrier)
        yield carrier


def traced(function: Function) -> Function:
    """A handler whose attempts are spans `process QUEUE`, each with a span `receive QUEUE` before
    it that reaches from the claim to its begin. What the handler itself traces lies within."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waiting(attempt: Attempt) -> Any:
            with _processing(attempt):
                return await function(attempt)

        return cast(Function, waiting)

    @functools.wraps(function)
    def plain(attempt: Attempt) -> Any:
        with _processing(attempt):
            return function(attempt)

    return cast(Function, plain)


@contextmanager
def in_process(
    function: Callable[[Any], Any], attempt: Attempt
) -> Iterator[Callable[[Attempt], Any]]:
    """The same spans around a handler that runs in another process. Gives what that is to run:
    what the handler traces there lies within, too."""
    with _processing(attempt):
        carrier: dict[str, str] = {}
        W3C.inject(carrier)
        yield functools.partial(_continued, function, carrier)


def _continued(function: Callable[[Any], Any], carrier: Mapping[str, str], attempt: Attempt) -> Any:
    token = attach(W3C.extract(carrier, Context()))
    try:
        return function(attempt)
    finally:
        detach(token)


@contextmanager
def _processing(attempt: Attempt) -> Iterator[None]:
    # Not below whatever happens to be current here: without a trace of its own a step begins one.
    submitted = W3C.extract(attempt.metadata, Context())
    _received(attempt, submitted)
    with _tracer().start_as_current_span(
        f"process {attempt.queue}",
        submitted,
        SpanKind.CONSUMER,
        _about(attempt, "process"),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:  # a cancelled attempt has failed too
            _failed(span, error)
            raise


def _received(attempt: Attempt, submitted: Context) -> None:
    claim = current_attempt.get()
    if claim is None or str(claim.step_id) != attempt.step_id:
        return
    span = _tracer().start_span(
        f"receive {attempt.queue}",
        submitted,
        SpanKind.CLIENT,
        _about(attempt, "receive"),
        start_time=min(time.time_ns(), round(claim.claimed_at * 1e9)),
    )
    span.end()


def _failed(span: Span, error: BaseException) -> None:
    name = type(error).__qualname__
    span.record_exception(error)
    span.set_attribute("error.type", name)
    span.set_status(StatusCode.ERROR, name)


def _about(attempt: Attempt, operation: str) -> dict[str, str | int]:
    return {
        **_attributes(operation, attempt.queue),
        "messaging.message.id": attempt.step_id,
        "messaging.message.body.size": len(attempt.payload),
        "fleetq.step.kind": attempt.kind,
        "fleetq.step.attempt": attempt.attempt,
    }


def _attributes(operation: str, queue: str) -> dict[str, str | int]:
    return {
        "messaging.system": "fleetq",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": queue,
    }


def _tracer() -> Tracer:
    return trace.get_tracer("fleetq")
