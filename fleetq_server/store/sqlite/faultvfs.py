"""A disk that fails when told to, below SQLite: for tests, and for pods started with `faults`.

The orders are a small JSON file that any process may replace at any time:

    write_error  true: every write fails with an I/O error
    sync_error   true: every sync does
    disk_full    bytes by which files may still grow
    slow_sync    seconds that every sync takes longer
    power_loss   the process is killed at its n-th disk operation from now

What was met is counted in `<orders>.hits`: a fault that hit nothing proved nothing.

Power loss is more than a death: what was written but never synced is gone. So every write is
noted in `<file>.unsynced` until the file's next sync, and `lose_power` takes the noted writes
back once all processes are dead. Creating, renaming and deleting a file count as synced.
"""
# ruff: noqa: N802 - SQLite named the methods of a VFS

import json
import os
import signal
import struct
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, NamedTuple

import apsw

from fleetq_server.faults import ControlFile, count_hit, givers

NAME = "fleetq-faults"
FAULTS = frozenset({"write_error", "sync_error", "disk_full", "slow_sync", "power_loss"})

_NOTE = struct.Struct(">QQII")  # offset, size before, length of what was there, of what was written


def give_orders(control: Path, **faults: float) -> None:
    """Replaces the orders; none at all heals the disk."""
    if unknown := faults.keys() - FAULTS:
        raise ValueError(f"no disk fault {sorted(unknown)}; known: {sorted(FAULTS)}")
    new = control.with_name(f"{control.name}.new.{os.getpid()}")
    # Signed, so that the same orders given again are new ones.
    new.write_text(json.dumps({**faults, "injections": {uuid.uuid4().hex: faults}}))
    new.replace(control)


def read_hits(control: Path) -> dict[str, int]:
    """How often each fault took effect, in any process."""
    try:
        found: dict[str, int] = json.loads(_hits(control).read_text() or "{}")
    except FileNotFoundError:
        return {}
    return found


def _hits(control: Path) -> Path:
    return control.with_name(control.name + ".hits")


class Orders:
    """The orders in force, as this process obeys them."""

    def __init__(self, control: Path) -> None:
        self.control = control
        self._file = ControlFile(control)
        self._orders: Mapping[str, Any] = {}
        self._grown = 0  # bytes, since disk_full is in force
        self._operations = 0  # since power_loss is

    def get(self, fault: str) -> float:
        found: float = self._read().get(fault, 0)
        return found

    def _read(self) -> Mapping[str, Any]:
        before, self._orders = self._orders, self._file.read()
        if self._orders is not before:
            if givers(self._orders, "disk_full") != givers(before, "disk_full"):
                self._grown = 0
            if givers(self._orders, "power_loss") != givers(before, "power_loss"):
                self._operations = 0
        return self._orders

    def meet(self, fault: str) -> None:
        """Counts a hit, before its effect: a killed process counts nothing any more."""
        count_hit(self.control, fault)

    def before_operation(self) -> None:
        last = self.get("power_loss")
        self._operations += 1
        if last and self._operations >= last:
            self.meet("power_loss")
            os.kill(os.getpid(), signal.SIGKILL)

    def before_write(self, growth: int) -> None:
        if self.get("write_error"):
            self.meet("write_error")
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        room = self._read().get("disk_full")
        if room is not None and growth > 0:
            if self._grown + growth > room:
                self.meet("disk_full")
                raise apsw.exception_for(apsw.SQLITE_FULL)
            self._grown += growth

    def before_sync(self) -> None:
        if self.get("sync_error"):
            self.meet("sync_error")
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        if seconds := self.get("slow_sync"):
            self.meet("slow_sync")
            time.sleep(seconds)


_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def _unsynced(path: str | Path) -> Path:
    return Path(f"{path}.unsynced")


class FaultFile(apsw.VFSFile):
    """Reads, locks and shared memory are the system's own; writes and syncs go through here."""

    def __init__(
        self, name: str | apsw.URIFilename | None, flags: list[int], orders: Orders
    ) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._orders = orders
        self._notes = os.open(_unsynced(path), _APPEND, 0o666) if path else -1

    def xWrite(self, data: bytes, offset: int) -> None:
        size = self.xFileSize()
        self._orders.before_operation()
        self._orders.before_write(offset + len(data) - size)
        there = max(0, min(len(data), size - offset))
        old = super().xRead(there, offset) if there else b""
        self._note(offset, size, old, data)
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        size = self.xFileSize()
        self._orders.before_operation()
        if size > newsize:
            self._note(newsize, size, super().xRead(size - newsize, newsize), b"")
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._orders.before_operation()
        self._orders.before_sync()
        super().xSync(flags)
        if self._notes >= 0:
            os.ftruncate(self._notes, 0)

    def xClose(self) -> None:
        super().xClose()
        if self._notes >= 0:
            os.close(self._notes)
            self._notes = -1

    def _note(self, offset: int, size: int, old: bytes, new: bytes) -> None:
        if self._notes >= 0:
            os.write(self._notes, _NOTE.pack(offset, size, len(old), len(new)) + old + new)


class FaultVfs(apsw.VFS):
    def __init__(self, orders: Orders) -> None:
        super().__init__(NAME, "")
        self.orders = orders

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return FaultFile(name, flags, self.orders)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        _unsynced(filename).unlink(missing_ok=True)


_installed: list[FaultVfs] = []  # SQLite forgets a VFS that Python no longer holds


def install(control: Path) -> str:
    """Makes the VFS known to this process's SQLite and puts it under these orders. → its name"""
    if _installed:
        _installed[0].orders = Orders(control)
    else:
        _installed.append(FaultVfs(Orders(control)))
    return NAME


# --- power loss -------------------------------------------------------------------------------


class _Write(NamedTuple):
    offset: int
    size_before: int
    old: bytes
    new: bytes  # empty: a truncation to `offset`


def lose_power(database: Path, rng: Random | None = None) -> int:
    """Takes back the unsynced writes of a database no process has open. → how many were lost

    A disk is free to write what nobody made it sync, in any order, a part or a whole: with `rng`
    each unsynced write stays away, arrives, or arrives in part, by chance.
    """
    lost = 0
    for path in (database, Path(f"{database}-wal"), Path(f"{database}-journal")):
        notes = _unsynced(path)
        if path.exists() and notes.exists():
            lost += _take_back(path, list(_read_notes(notes.read_bytes())), rng)
        notes.unlink(missing_ok=True)
    Path(f"{database}-shm").unlink(missing_ok=True)
    return lost


def _read_notes(text: bytes) -> Iterator[_Write]:
    at = 0
    while at + _NOTE.size <= len(text):
        offset, size, old, new = _NOTE.unpack_from(text, at)
        at += _NOTE.size
        yield _Write(offset, size, text[at : at + old], text[at + old : at + old + new])
        at += old + new


def _take_back(path: Path, writes: list[_Write], rng: Random | None) -> int:
    with path.open("r+b") as file:
        for write in reversed(writes):
            file.seek(write.offset)
            file.write(write.old)
            file.truncate(write.size_before)
        return sum(not (rng and _arrives(file, write, rng)) for write in writes)


def _arrives(file: BinaryIO, write: _Write, rng: Random) -> bool:
    """Whether a write reached the disk, at least in part, before the power went."""
    luck = rng.randrange(3)
    if luck == 0:
        return False
    if not write.new:
        file.truncate(write.offset)
        return True
    file.seek(write.offset)
    file.write(write.new if luck == 1 else write.new[: rng.randrange(len(write.new))])
    return True
