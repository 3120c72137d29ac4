"""What flows through a stream."""

from enum import Enum
from typing import NamedTuple


class End(Enum):
    EOF = "eof"  # its source closed this direction
    RESET = "reset"  # its source is gone


class Chunk(NamedTuple):
    data: bytes
    at: float  # when it was read, in the loop's time
    end: End | None = None
