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
    starts = _starts(context.payload.decode(), min(context.attempt, 2))
    starts.add(int(context.step_id), time.monotonic())
    await starts.never.wait()


class _Starts:
    """What started in this process, written to a file that other processes write to as well."""

    def __init__(self, path: Path) -> None:
        self.never = asyncio.Event()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._unwritten = bytearray()

    def add(self, step_id: int, at: float) -> None:
        if not self._unwritten:
            # Together with all that start in this turn of the loop: a write for each of very
            # many steps would be most of what is measured.
            asyncio.get_running_loop().call_soon(self._write)
        self._unwritten += STARTED.pack(step_id, at)

    def _write(self) -> None:
        os.write(self._file, self._unwritten)
        self._unwritten.clear()


@lru_cache
def _starts(directory: str, attempt: int) -> _Starts:
    return _Starts(starts_file(directory, attempt))


def starts_file(directory: str, attempt: int) -> Path:
    """Where `hold` writes its starts: one file for first attempts, one for all others."""
    return Path(directory, f"starts-{attempt}")
