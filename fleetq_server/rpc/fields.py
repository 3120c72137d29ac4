"""Checks of single request fields. Each gives the checked value, or InvalidArgument with the
field's name; `each` adds the position in a list, so that a problem reads `steps[3].timeout`.

What names, batches and steps may be is `core`'s to say; here is what a request must be to be
understood.
"""

from collections.abc import Callable, Iterable, Sized
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from fleetq_server.core.names import MAX_STEPS
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import Fence, StepId, read_token

MAX_DURATION = 315_576_000_000  # protobuf's own: 10,000 years
LAST_SECOND = 253_402_300_799  # protobuf's own: the end of the year 9999

T = TypeVar("T")
R = TypeVar("R")


def each(field: str, items: Iterable[T], check: Callable[[T], R]) -> list[R]:
    done: list[R] = []
    try:
        done.extend(map(check, items))  # keeps what came before an error
    except InvalidArgument as error:
        path = f"{field}[{len(done)}]" + (f".{error.field}" if error.field else "")
        raise InvalidArgument(path, error.problem) from None
    return done


def count(field: str, items: Sized, least: int = 1, most: int = MAX_STEPS) -> None:
    # To be asked before a list is converted: 4 MiB hold two million empty items.
    if not least <= len(items) <= most:
        raise InvalidArgument(field, f"must have {least} to {most} items, not {len(items)}")


def step_id(text: str, field: str = "") -> StepId:
    # The length first: int() of an endless number takes as long as the sender likes.
    if len(text) > 19 or not (text.isascii() and text.isdigit()) or not 0 < int(text) < 2**63:
        raise InvalidArgument(field, "is not a step id: a positive decimal number")
    return StepId(int(text))


def token(data: bytes, field: str = "claim_token") -> tuple[StepId, Fence]:
    parts = read_token(data)
    if parts is None:
        raise InvalidArgument(field, "is not a claim token")
    return parts


def printable(field: str, value: str, most: int) -> str:
    if len(value) > most or not value.isprintable():
        raise InvalidArgument(field, f"must be at most {most} printable characters")
    return value


def duration(field: str, value: Duration) -> float:
    seconds, nanos = value.seconds, value.nanos
    if not (0 <= seconds <= MAX_DURATION and 0 <= nanos < 1_000_000_000):
        raise InvalidArgument(field, "must be a duration from 0 s to 10,000 years")
    return seconds + nanos / 1e9


def timestamp(field: str, value: Timestamp) -> float:
    seconds, nanos = value.seconds, value.nanos
    if not (0 <= seconds <= LAST_SECOND and 0 <= nanos < 1_000_000_000):
        raise InvalidArgument(field, "must be a time from the year 1970 to 9999")
    return seconds + nanos / 1e9


def rate(value: float) -> float:
    if not 0.001 <= value <= 1e6:  # catches NaN too
        raise InvalidArgument("rate", "must be from 0.001 to 1,000,000 steps per second")
    return value
