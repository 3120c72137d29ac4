"""Pages of a listing: tokens that fit one filter only, and pages that fit into one message.

A token is the last id of its page and a MAC over that and the filter. Any pod must be able to
go on where another stopped, so the key is the same everywhere: it tells a token from a mangled
one or one of another listing, and is no protection. A made-up token would show nothing that
the listing does not show anyway.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import struct
from collections.abc import Awaitable, Callable, Sequence

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from fleetq_server.errors import InvalidArgument
from fleetq_server.model import DeadFilter, Step, StepFilter, StepId
from fleetq_server.pb import step_pb2
from fleetq_server.rpc import convert
from fleetq_server.rpc.sizes import ANSWER_BYTES

DEFAULT_SIZE = 50
LARGEST_SIZE = 1000

# Steps read at a time: of the largest ones these are 32 MiB in memory.
CHUNK = 64

_KEY = b"fleetq page token 1"
_LAST = struct.Struct(">Q")

Filter = StepFilter | DeadFilter
Fetch = Callable[[StepId | None, int], Awaitable[Sequence[Step]]]
Steps = RepeatedCompositeFieldContainer[step_pb2.Step]


def page_size(asked: int) -> int:
    if asked < 0:
        raise InvalidArgument("page_size", "must not be negative")
    return min(asked or DEFAULT_SIZE, LARGEST_SIZE)


def make_token(filter: Filter, last: StepId) -> str:
    position = _LAST.pack(last)
    mac = hashlib.blake2b(position + _canonical(filter), digest_size=16, key=_KEY).digest()
    return base64.urlsafe_b64encode(position + mac).decode()


def read_token(filter: Filter, token: str) -> StepId | None:
    """The id to go on from; None at the beginning."""
    if not token:
        return None
    try:
        (last,) = _LAST.unpack(base64.urlsafe_b64decode(token.encode())[: _LAST.size])
    except (binascii.Error, struct.error):
        last = 0
    if not hmac.compare_digest(make_token(filter, last).encode(), token.encode()):
        raise InvalidArgument("page_token", "is not from this listing with this filter")
    return StepId(last)


async def fill(page: Steps, fetch: Fetch, filter: Filter, size: int, token: str) -> str:
    """Puts a page of steps into the answer. → the token of the next, empty at the end."""
    size, last, room = page_size(size), read_token(filter, token), ANSWER_BYTES
    while True:
        asked = min(CHUNK, size + 1 - len(page))  # one more than shown tells whether there is more
        steps = await fetch(last, asked)
        for step in steps:
            message = page.add()
            convert.put_step(message, step)
            room -= message.ByteSize()
            if len(page) > size or (room < 0 and len(page) > 1):
                del page[-1]
                return make_token(filter, StepId(int(page[-1].step_id)))
            last = step.step_id
        if len(steps) < asked:
            return ""


def _canonical(filter: Filter) -> bytes:
    values = (getattr(filter, field.name) for field in dataclasses.fields(filter))
    # Sets have another order in each process.
    ordered = [sorted(v) if isinstance(v, frozenset) else v for v in values]
    return repr((type(filter).__name__, ordered)).encode()
