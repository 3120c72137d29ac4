"""Orders to fail that reach a running pod, if it was started with the setting `faults`: a path to
a small JSON file that a test replaces at any time. Disk faults in it are obeyed by the store (see
`store/sqlite/faultvfs.py`); here are the others:

    clock_jump    seconds that this pod's wall clock is ahead (negative: behind)
    clock_rate    how fast it runs from now on; 2 is twice as fast
    clock_freeze  true: it stands still
    failpoints    as the setting of that name: armed when the file changes

An order that is left out is not in force: the empty object heals everything. Beside them the file
may say, under `injections`, who gives which of the orders: an order that somebody else gives, be it
the same, begins anew, and one that stays goes on when another comes. What took effect is counted by
name in `<file>.hits`, so that a test can tell a fault from a wish. A pod started without the
setting has none of this: there is no other way to it, over the network or otherwise.
"""

import asyncio
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleetq_server import failpoints
from fleetq_server.clock import Clock
from fleetq_server.errors import ConfigError
from fleetq_server.telemetry import get_logger

LOOK_SECONDS = 0.02
COUNT_SECONDS = 0.1  # between two counts of the same order: the clock is read all the time
CLOCK_ORDERS = ("clock_jump", "clock_rate", "clock_freeze")

log = get_logger()


def count_hit(control: Path, order: str) -> None:
    """Counts one effect of an order, across all processes that obey this file."""
    hits_file = control.with_name(control.name + ".hits")
    handle = os.open(hits_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        hits = json.loads(os.pread(handle, 4096, 0) or b"{}")
        hits[order] = hits.get(order, 0) + 1
        os.pwrite(handle, json.dumps(hits).encode(), 0)
    finally:
        os.close(handle)


def givers(orders: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Who gives an order, and what they order: as long as this stays the same, it is the same."""
    injections: Mapping[str, Mapping[str, Any]] = orders.get("injections", {})
    found = {who: given[name] for who, given in injections.items() if name in given}
    return found or ({"": orders[name]} if name in orders else {})


class ControlFile:
    """The orders in force; a missing file has none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._orders: Mapping[str, Any] = {}

    def read(self) -> Mapping[str, Any]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._orders = None, {}
            return self._orders
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._orders = json.loads(self.path.read_text())
            except ValueError as error:
                log.warning("orders to fail are unreadable", file=str(self.path), cause=str(error))
                self._orders = {}
        return self._orders


class FaultyClock:
    """A pod's clock under orders. Only its wall time is wrong: monotonic time cannot be."""

    def __init__(self, clock: Clock, path: Path) -> None:
        self._clock = clock
        self._control = ControlFile(path)
        self._givers: Mapping[str, Mapping[str, Any]] = {}
        self._since: Mapping[str, float] = {}  # by the true clock
        self._counted_at = 0.0

    def now(self) -> float:
        found = self._control.read()
        orders = {name: found[name] for name in CLOCK_ORDERS if found.get(name)}
        true = self._clock.now()
        self._note({name: givers(found, name) for name in orders}, true)
        if not orders:
            return true
        self._count(orders)
        return self._told(orders, true) + float(orders.get("clock_jump", 0))

    def _note(self, current: Mapping[str, Mapping[str, Any]], true: float) -> None:
        if current != self._givers:
            goes_on = {name for name, who in current.items() if self._givers.get(name) == who}
            self._since = {name: self._since[name] if name in goes_on else true for name in current}
            self._givers, self._counted_at = current, 0.0

    def _told(self, orders: Mapping[str, Any], true: float) -> float:
        at = self._since["clock_freeze"] if "clock_freeze" in orders else true
        since = self._since.get("clock_rate", at)
        return at if at <= since else since + (at - since) * float(orders["clock_rate"])

    def _count(self, orders: Mapping[str, Any]) -> None:
        now = self._clock.monotonic()
        if now - self._counted_at >= COUNT_SECONDS or not self._counted_at:
            self._counted_at = now
            for name in orders:
                count_hit(self._control.path, name)

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


async def obey_failpoints(path: Path, always: str) -> None:
    """Arms what the file names beside `always`, each time that changes."""
    control = ControlFile(path)
    armed: Mapping[str, str] = {}
    while True:
        wanted = givers(control.read(), "failpoints")
        if wanted != armed:
            armed = wanted
            _arm(path, {"always": always, **wanted})
        await asyncio.sleep(LOOK_SECONDS)


def _arm(path: Path, specs: Mapping[str, str]) -> None:
    try:
        failpoints.arm_only(specs, on_act=lambda name: count_hit(path, f"failpoint:{name}"))
    except ConfigError as error:
        failpoints.disarm()
        log.warning("failpoints refused", cause=str(error))
        count_hit(path, "failpoints_refused")
