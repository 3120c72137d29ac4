"""The handlers of measured pods. They do nothing, so that the fleet's own cost is all there is."""

import asyncio
import os
import struct
import time
from functools import lru_cache
from pathlib import Path

from fleetq_server.core.context import Context
from fleetq_server.core.handlers import handler

MODULE = __name__
NOOP, STAMP, HOLD = KINDS = ("bench.noop", "bench.stamp", "bench.hold")

STARTED = struct.Struct("<qd")  # step id, monotonic time


@handler(NOOP)
async def noop(_context: Context) -> None:
    """Ends at once."""


@handler(STAMP)
async def stamp(_context: Context) -> float:
    """Tells when it started. All processes of a host share the monotonic clock."""
    return time.monotonic()


@handler(HOLD)
async def hold(context: Context) -> None:
    """Writes down that it started, in the directory its payload names, and waits for ever."""
    started = STARTED.pack(int(context.step_id), time.monotonic())
    os.write(_starts(context.payload.decode(), min(context.attempt, 2)), started)
    await asyncio.Event().wait()


@lru_cache
def _starts(directory: str, attempt: int) -> int:
    # Appended to by several pods at once: records this small never mix.
    return os.open(starts_file(directory, attempt), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


def starts_file(directory: str, attempt: int) -> Path:
    """Where `hold` writes its starts: one file for first attempts, one for all others."""
    return Path(directory, f"starts-{attempt}")
