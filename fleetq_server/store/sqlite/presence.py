"""Life and death of pods on one host, told by the kernel.

Each holder keeps, in `<database>.fleet/`, a lock file it holds with flock and a FIFO it keeps open
for writing. However the process ends, the kernel drops both: whoever watches the FIFO gets an event
at once, and taking the lock is the proof. A process frozen or cut off keeps both, and is found by
its silence instead.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Collection
from pathlib import Path


def fleet_directory(database: Path) -> Path:
    folder = Path(f"{database}.fleet")
    folder.mkdir(exist_ok=True)
    return folder


class SqlitePresence:
    def __init__(self, database: Path) -> None:
        self._folder = fleet_directory(database)
        self._held: dict[str, tuple[int, int]] = {}
        self._watched: dict[str, int] = {}

    def hold(self, holder_id: str) -> None:
        """Before the holder registers: a registered holder without its lock counts as dead."""
        self._folder.mkdir(exist_ok=True)
        unnamed = self._path(holder_id, "new")
        lock = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(self._path(holder_id, "lock"))  # under its name it is never seen free
        os.mkfifo(unnamed)
        self._held[holder_id] = (lock, os.open(unnamed, os.O_RDWR | os.O_NONBLOCK))
        unnamed.rename(self._path(holder_id, "life"))

    def guard(self, unproven: Callable[[float], None], proven: Callable[[], None]) -> None:
        """Nothing: the kernel takes no lock from a process that lives."""

    def proven_dead(self, holder_id: str) -> bool:
        try:
            lock = os.open(self._path(holder_id, "lock"), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True

    def watch(self, holder_id: str, on_death: Callable[[], None]) -> Callable[[], None] | None:
        try:
            life = os.open(self._path(holder_id, "life"), os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        if _ended(life):
            os.close(life)
            return None
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._watched.pop(holder_id, None) is not None:
                loop.remove_reader(life)
                os.close(life)

        def ended() -> None:
            if _ended(life):
                stop()
                on_death()

        self._watched[holder_id] = life
        loop.add_reader(life, ended)
        return stop

    def tidy(self, keep: Collection[str]) -> None:
        for lock in self._folder.glob("*.lock"):
            if lock.stem not in keep and self.proven_dead(lock.stem):
                self.forget(lock.stem)

    def forget(self, holder_id: str) -> None:
        # A pod that goes on under another id keeps its bell.
        for suffix in ("life", "lock") if holder_id in self._held else ("life", "lock", "bell"):
            with contextlib.suppress(FileNotFoundError):
                self._path(holder_id, suffix).unlink()
        for descriptor in self._held.pop(holder_id, ()):
            os.close(descriptor)

    def close(self) -> None:
        for life in self._watched.values():
            os.close(life)
        self._watched.clear()
        for descriptors in self._held.values():
            for descriptor in descriptors:
                os.close(descriptor)
        self._held.clear()

    def _path(self, holder_id: str, suffix: str) -> Path:
        return self._folder / f"{holder_id}.{suffix}"


def _ended(life: int) -> bool:
    """Whether nobody has the FIFO open for writing any more. Nobody ever writes to it."""
    try:
        return os.read(life, 1) == b""
    except BlockingIOError:
        return False
