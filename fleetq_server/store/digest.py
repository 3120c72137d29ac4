"""Tells whether two submits mean the same, in any process and on any machine."""

import hashlib
import marshal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fleetq_server.model import DEFAULT_RETRY, NewStep, RetryPolicy

TRACE_CONTEXT = frozenset({"traceparent", "tracestate"})  # a repeat may be part of another trace


def digest_steps(steps: Sequence[NewStep]) -> bytes:
    return _digest([_plain(step) for step in steps])


def digest_step(step: NewStep) -> bytes:
    return _digest(_plain(step))


def digest_values(values: Iterable[object]) -> bytes:
    return _digest(list(values))


def _digest(value: Any) -> bytes:
    # marshal format 0 has neither references nor interning, so equal values give equal bytes;
    # it is several times faster than any text form.
    return hashlib.blake2b(marshal.dumps(value, 0), digest_size=16).digest()


def _plain(step: NewStep) -> tuple[object, ...]:
    return (
        step.kind,
        step.payload,
        step.queue,
        _content(step.metadata) if step.metadata else (),
        step.priority,
        step.run_at,
        step.timeout,
        () if step.retry is DEFAULT_RETRY else _plain_retry(step.retry),
        step.idempotency_key,
    )


def _content(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(item for item in metadata.items() if item[0] not in TRACE_CONTEXT)


def _plain_retry(retry: RetryPolicy) -> tuple[object, ...]:
    if retry == DEFAULT_RETRY:
        return ()
    return (
        retry.max_attempts,
        retry.initial_delay,
        retry.multiplier,
        retry.max_delay,
        retry.jitter,
        tuple(retry.non_retryable),
    )
