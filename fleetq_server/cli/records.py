"""Steps as JSON Lines: one JSON object per line, with the fields of FIELDS."""

import base64
import binascii
import difflib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from fleetq_server.errors import InvalidArgument
from fleetq_server.model import DEFAULT_RETRY, NewStep, RetryPolicy

FIELDS = (
    "kind",
    "payload",
    "payload_base64",
    "queue",
    "metadata",
    "priority",
    "run_at",
    "timeout",
    "retry",
    "idempotency_key",
)
RETRY_FIELDS = tuple(field.name for field in fields(RetryPolicy))

LONGEST_LINE = 4 * 1024 * 1024
READ_AT_ONCE = 1024 * 1024

_PLAIN = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_ESCAPED = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Line(NamedTuple):
    number: int  # 1 for the first
    text: bytes | None  # None: longer than LONGEST_LINE


@dataclass(frozen=True, slots=True)
class Defaults:
    """What flags say for records that do not."""

    kind: str | None = None
    queue: str = "default"
    priority: int = 0
    run_at: float | None = None
    timeout: float | None = None
    retry: RetryPolicy = DEFAULT_RETRY


class ByteStream(Protocol):
    def read1(self, size: int = ..., /) -> bytes: ...


def read_lines(stream: ByteStream) -> Iterator[list[Line]]:
    """Lines in groups, each group as soon as it is there: a slow pipe is not waited for."""
    number, rest, skipping = 0, b"", False
    while data := stream.read1(READ_AT_ONCE):
        *complete, rest = (rest + data).split(b"\n")
        group: list[Line] = []
        for text in complete:
            number += 1
            too_long = skipping or len(text) > LONGEST_LINE
            group.append(Line(number, None if too_long else text))
            skipping = False
        if len(rest) > LONGEST_LINE:
            rest, skipping = b"", True
        if group:
            yield group
    if rest or skipping:
        yield [Line(number + 1, None if skipping else rest)]


def parse_line(line: Line, defaults: Defaults) -> NewStep | None:
    """The step of a line, or None of a blank one.

    Raises:
        InvalidArgument: the line is no record; names the field.
    """
    if line.text is None:
        raise InvalidArgument("line", f"is longer than {LONGEST_LINE} bytes")
    text = line.text.removeprefix(b"\xef\xbb\xbf") if line.number == 1 else line.text
    if not text.strip():
        return None
    return parse_record(_object(text), defaults)


def parse_record(record: Mapping[str, Any], defaults: Defaults) -> NewStep:
    _known(record, FIELDS, "")
    return NewStep(
        kind=_kind(record, defaults),
        payload=_payload(record),
        queue=_text(record, "queue") or defaults.queue,
        metadata=_metadata(record),
        priority=_whole(record, "priority", defaults.priority),
        run_at=parse_time(record["run_at"], "run_at")
        if _given(record, "run_at")
        else defaults.run_at,
        timeout=_number(record, "timeout", "timeout")
        if _given(record, "timeout")
        else defaults.timeout,
        retry=_retry(record, defaults.retry),
        idempotency_key=_text(record, "idempotency_key"),
    )


def parse_time(value: object, field: str) -> float:
    """ISO 8601 (UTC unless it says otherwise) or seconds since the epoch."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, field)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidArgument(field, f"{value!r} is not an ISO 8601 time") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    raise InvalidArgument(field, "is neither an ISO 8601 time nor seconds since the epoch")


def weight(step: NewStep) -> int:
    """At most how many bytes the step takes in a request."""
    texts = (step.kind, step.queue, step.idempotency_key or "", *step.retry.non_retryable)
    names = sum(map(len, texts)) + sum(len(k) + len(v) for k, v in step.metadata.items())
    return len(step.payload) + 4 * names + 8 * len(step.metadata) + 200


def batches(
    numbered: Iterable[tuple[int, NewStep]], most_items: int, most_bytes: int
) -> Iterator[list[tuple[int, NewStep]]]:
    """Groups that fit into one request each, in order."""
    group: list[tuple[int, NewStep]] = []
    total = 0
    for number, step in numbered:
        size = weight(step)
        if group and (len(group) == most_items or total + size > most_bytes):
            yield group
            group, total = [], 0
        group.append((number, step))
        total += size
    if group:
        yield group


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InvalidArgument("line", "is not UTF-8") from None
    except RecursionError:
        raise InvalidArgument("line", "is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise InvalidArgument("line", f"is not JSON: {error.msg} (column {error.colno})") from None
    except ValueError as error:
        raise InvalidArgument("line", f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidArgument("line", "is not a JSON object")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _known(record: Mapping[str, Any], names: tuple[str, ...], prefix: str) -> None:
    for name in record:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(names)}"
            raise InvalidArgument(prefix + name[:64], f"is no field of a record{hint}")


def _given(record: Mapping[str, Any], name: str) -> bool:
    return record.get(name) is not None


def _kind(record: Mapping[str, Any], defaults: Defaults) -> str:
    kind = _text(record, "kind") or defaults.kind
    if kind is None:
        raise InvalidArgument("kind", "is missing; give it in the record or with --kind")
    return kind


def _payload(record: Mapping[str, Any]) -> bytes:
    if "payload_base64" not in record:
        return to_json(record["payload"]) if "payload" in record else b""
    if "payload" in record:
        raise InvalidArgument("payload_base64", "is given together with payload; keep one")
    try:
        return base64.b64decode(record["payload_base64"], validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidArgument("payload_base64", "is not base64") from None


def to_json(value: object) -> bytes:
    """JSON that was decoded, as bytes again.

    Raises:
        InvalidArgument: it has a number that Python could only read as infinite.
    """
    try:
        return _PLAIN(value).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only write escaped
        return _ESCAPED(value).encode()
    except ValueError:
        raise InvalidArgument("payload", "has a number that is out of range") from None


def _text(record: Mapping[str, Any], name: str) -> str | None:
    return _string(record[name], name) if _given(record, name) else None


def _string(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(field, "is not a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(field, "has half a surrogate pair in it") from None
    return value


def _metadata(record: Mapping[str, Any]) -> dict[str, str]:
    value = record.get("metadata") or {}
    if not isinstance(value, dict):
        raise InvalidArgument("metadata", "is not a JSON object")
    return {
        _string(key, "metadata"): _string(each, f"metadata[{key}]") for key, each in value.items()
    }


def _whole(record: Mapping[str, Any], name: str, default: int) -> int:
    if not _given(record, name):
        return default
    value = record[name]
    # The wire takes 32 bits; what of them makes sense is for the pod to say.
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**31) <= value < 2**31:
        raise InvalidArgument(name, "is not a whole number of 32 bits")
    return value


def _number(record: Mapping[str, Any], name: str, field: str) -> float:
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(field, "is not a number")
    return _finite(value, field)


def _finite(value: float, field: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) < 1e11:  # beyond this, nanoseconds do not fit into the wire's seconds
        raise InvalidArgument(field, "is out of range")
    return number


def _retry(record: Mapping[str, Any], default: RetryPolicy) -> RetryPolicy:
    if not _given(record, "retry"):
        return default
    value = record["retry"]
    if not isinstance(value, dict):
        raise InvalidArgument("retry", "is not a JSON object")
    _known(value, RETRY_FIELDS, "retry.")
    attempts = _whole(value, "max_attempts", default.max_attempts)
    if attempts < 0:
        raise InvalidArgument("retry.max_attempts", "is negative")
    numbers = {
        name: _number(value, name, f"retry.{name}")
        for name in ("initial_delay", "multiplier", "max_delay", "jitter")
        if _given(value, name)
    }
    merged = {name: numbers.get(name, getattr(default, name)) for name in _RETRY_NUMBERS}
    return RetryPolicy(attempts, **merged, non_retryable=_names(value, default))


_RETRY_NUMBERS = ("initial_delay", "multiplier", "max_delay", "jitter")


def _names(value: Mapping[str, Any], default: RetryPolicy) -> tuple[str, ...]:
    names = value.get("non_retryable", default.non_retryable)
    if not isinstance(names, list | tuple):
        raise InvalidArgument("retry.non_retryable", "is not a list of error names")
    return tuple(_string(name, "retry.non_retryable") for name in names)
