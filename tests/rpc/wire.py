"""Requests as an enemy would write them: the right fields on the wire, anything inside."""

import struct

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from fleetq_server.model import Fence, StepId, make_token

F = FieldDescriptor
EXTREMES = [0, 1, 2, 3, 7, 50, 1000, 1001, 10_000, 10**9, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1]
DOUBLES = [0.0, -0.0, 1.0, 5e-324, 1e308, -1.0, float("inf"), float("-inf"), float("nan")]
PLAUSIBLE = [
    "", "default", "some-queue", "kind", "0123456789abcdef", "00000000-holder", "1", "2", "17",
    "9223372036854775807", "9223372036854775808", "-1", "request-1", "submitted", "HandlerError",
    "a\0b", "\n", "\u2028",
]  # fmt: skip
TOKENS = [
    make_token(StepId(s), Fence(f)) for s, f in [(1, 1), (2, 9), (0, 0), (2**63 - 1, 2**63 - 1)]
]

integers = st.sampled_from([*EXTREMES, *(-n for n in EXTREMES[1:])]) | st.integers(
    -(2**63), 2**64 - 1
)
doubles = st.sampled_from(DOUBLES) | st.floats()
long = st.sampled_from([65, 129, 257, 1025, 5000, 300_000]).map(lambda n: b"x" * n)
strings = (
    st.sampled_from(PLAUSIBLE).map(str.encode) | st.text().map(str.encode) | st.binary() | long
)
blobs = st.sampled_from(TOKENS) | st.binary() | long


def requests(
    descriptor: Descriptor | None, good: bytes = b"", depth: int = 3
) -> st.SearchStrategy[bytes]:
    """Encoded messages with some of their fields, each any number of times.

    They begin with `good`, which a later occurrence of a field overrides or, if it is repeated,
    extends: so that most of them are wrong in one place only.
    """
    if depth == 0 or descriptor is None or not descriptor.fields:
        return st.just(good)
    parts = st.one_of([_part(field, depth) for field in descriptor.fields])
    return st.lists(parts, max_size=4).map(lambda drawn: good + b"".join(drawn))


def _part(field: FieldDescriptor, depth: int) -> st.SearchStrategy[bytes]:
    number = field.number
    match field.type:
        case F.TYPE_DOUBLE:
            return doubles.map(lambda value: _tag(number, 1) + struct.pack("<d", value))
        case F.TYPE_STRING:
            return strings.map(lambda value: _delimited(number, value))
        case F.TYPE_BYTES:
            return blobs.map(lambda value: _delimited(number, value))
        case F.TYPE_MESSAGE:
            inner = requests(field.message_type, depth=depth - 1) | st.binary(max_size=20)
            return inner.map(lambda value: _delimited(number, value))
        case _:
            return integers.map(lambda value: _tag(number, 0) + _varint(value))


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _delimited(number: int, value: bytes) -> bytes:
    return _tag(number, 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    value %= 2**64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
