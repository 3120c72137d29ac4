"""Orders to fail that reach a running pod, if it was started with the setting `faults`: a path to
a small JSON file that a test replaces at any time. Disk faults in it are obeyed by the store (see
`store/sqlite/faultvfs.py`); here are the others:

    clock_jump    seconds that this pod's wall clock is ahead (negative: behind)
    clock_rate    how fast it runs from now on; 2 is twice as fast
    clock_freeze  true: it stands still
    failpoints    as the setting of that name: armed when the file changes

An order that is left out is not in force: the empty object heals everything. A pod started without
the setting has none of this: there is no other way to it, over the network or otherwise.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetq_server import failpoints
from fleetq_server.clock import Clock

LOOK_SECONDS = 0.02


class ControlFile:
    """The orders in force; a missing file has none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._orders: Mapping[str, Any] = {}

    def read(self) -> tuple[Mapping[str, Any], bool]:
        """(orders, whether they changed since the last read)"""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return self._orders, False
            self._orders = json.loads(self._path.read_text())
        except FileNotFoundError:
            if self._stamp is None:
                return {}, False
            stamp, self._orders = (0, 0), {}
        changed, self._stamp = stamp != self._stamp, stamp
        return self._orders, changed


class FaultyClock:
    """A pod's clock under orders. Only its wall time is wrong: monotonic time cannot be."""

    def __init__(self, clock: Clock, path: Path) -> None:
        self._clock = clock
        self._control = ControlFile(path)
        self._since = clock.now()

    def now(self) -> float:
        orders, changed = self._control.read()
        true = self._clock.now()
        if changed:
            self._since = true
        ahead = float(orders.get("clock_jump", 0))
        if orders.get("clock_freeze"):
            return self._since + ahead
        return self._since + (true - self._since) * float(orders.get("clock_rate", 1)) + ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


async def obey_failpoints(path: Path) -> None:
    """Arms what the file names, each time it changes."""
    control = ControlFile(path)
    while True:
        orders, changed = control.read()
        if changed:
            failpoints.disarm()
            failpoints.arm(str(orders.get("failpoints", "")))
        await asyncio.sleep(LOOK_SECONDS)
