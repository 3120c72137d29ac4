"""Waking idle pods of the host without a write to the store: one FIFO per pod, a byte per ring.
The byte says whether there may be work, or news of the fleet."""

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from fleetq_server.store.sqlite.presence import fleet_directory

# Two changes of a folder may carry the same time, as long as the kernel's clock does not tick.
SETTLED_NS = 100_000_000

WORK, NEWS = b"w", b"n"


class SqliteDoorbell:
    """`ring` and `alert` may be called from any thread; the rest belongs to the event loop."""

    def __init__(self, database: Path, holder_id: str) -> None:
        self._folder = fleet_directory(database)
        self._path = self._folder / f"{holder_id}.bell"
        unnamed = self._path.with_suffix(".new")
        os.mkfifo(unnamed)
        self._bell = os.open(unnamed, os.O_RDWR | os.O_NONBLOCK)
        unnamed.rename(self._path)  # whoever finds a bell that nobody reads may remove it
        self._seen_folder = 0
        self._others: dict[str, int] = {}
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self) -> None:
        self._write(WORK, None)

    def alert(self, holder_ids: Collection[str] | None = None) -> None:
        self._write(NEWS, None if holder_ids is None else {f"{each}.bell" for each in holder_ids})

    def _write(self, byte: bytes, names: Collection[str] | None) -> None:
        with self._lock, contextlib.suppress(FileNotFoundError):
            changed = self._folder.stat().st_mtime_ns
            if changed != self._seen_folder:
                self._look_around()
                if abs(time.time_ns() - changed) > SETTLED_NS:
                    self._seen_folder = changed
            for name, bell in self._others.items():
                # Full: it has unheard rings enough. Broken: its pod is gone.
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    if names is None or name in names:
                        os.write(bell, byte)

    def _look_around(self) -> None:
        present = {
            bell.name for bell in self._folder.glob("*.bell") if bell.name != self._path.name
        }
        for name in set(self._others) - present:
            os.close(self._others.pop(name))
        for name in present - set(self._others):
            try:
                self._others[name] = os.open(self._folder / name, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno == errno.ENXIO:  # no reader: a dead pod's
                    (self._folder / name).unlink(missing_ok=True)

    def listen(self, on_ring: Callable[[], None], on_alert: Callable[[], None]) -> None:
        def rung() -> None:
            try:
                rings = os.read(self._bell, 65536)
            except BlockingIOError:
                return
            if NEWS in rings:
                on_alert()
            on_ring()

        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._bell, rung)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._bell)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        with self._lock:
            for descriptor in (self._bell, *self._others.values()):
                os.close(descriptor)
            self._others.clear()
