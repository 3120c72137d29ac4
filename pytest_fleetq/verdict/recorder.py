"""The pen: writes a history while a test runs."""

import fcntl
import itertools
import json
import math
import os
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fleetq_server.errors import (
    Conflict,
    InvalidArgument,
    LeaseLost,
    NotFound,
    NotLeader,
    Overloaded,
    Unauthorized,
)

if TYPE_CHECKING:
    from fleetq_server.model import Event

VERSION = 1

# What the fleet answers before it has done anything. All else may have had its effect.
HAD_NO_EFFECT: tuple[type[BaseException], ...] = (
    Conflict,
    InvalidArgument,
    LeaseLost,
    NotFound,
    NotLeader,
    Overloaded,
    Unauthorized,
)


def fingerprint(data: bytes) -> str:
    """Stands for a result in a history: equal results have equal fingerprints."""
    return f"{len(data)}:{zlib.crc32(data):08x}"


class Recorder:
    """Appends to the history at `path`, begun by whoever comes first.

    Safe for threads. Each record is one `write` to the file, so a killed process loses none that
    was made. Another process opens its own Recorder; so does a forked child. `clock` must be
    CLOCK_MONOTONIC unless the history has one recorder only.

    Raises OSError if the file cannot be opened or written, ValueError if another version wrote it.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        run: Mapping[str, object] | None = None,
    ) -> None:
        self.path = Path(path)
        self._clock = clock
        self._lock = threading.Lock()
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            joined = self._join(run or {})
        except BaseException:
            self.close()
            raise
        # Two recorders of one file must not give the same number twice.
        first = (os.getpid() << 24) + (time.monotonic_ns() & 0xFFFFF) if joined else 1
        self._operations = itertools.count(first)
        self._faults = itertools.count(first)

    # --- operations ---

    def invoke(self, process: str, name: str, value: Mapping[str, object]) -> int:
        """Says that a call is about to be made. → the id that its completion needs"""
        number = next(self._operations)
        self._append("invoke", number, process=process, name=name, value=value)
        return number

    def ok(self, number: int, name: str, value: Mapping[str, object]) -> None:
        """`value`: what was answered and what was asked."""
        self._append("ok", number, name=name, value=value)

    def fail(self, number: int, error: object) -> None:
        """The call certainly had no effect, now or later."""
        self._append("fail", number, error=_said(error))

    def info(self, number: int, error: object = "") -> None:
        """Nobody knows whether the call had its effect, or will have it."""
        self._append("info", number, error=_said(error))

    def operation(self, process: str, name: str, /, **value: object) -> "OpenOperation":
        """A call as a context manager:

        with recorder.operation("client-1", "submit", count=3) as operation:
            operation.ok(step_ids=client.submit("resize", items))

        Leaving it without a word means ok. An error means fail where the fleet refused the call
        (HAD_NO_EFFECT), otherwise info; it is raised on.
        """
        return OpenOperation(self, process, name, value)

    # --- everything else ---

    def event(self, event: "Event") -> None:
        """An event of the fleet's journal, as the client gave it."""
        more = {
            "queue": event.queue,
            "holder": event.holder,
            "term": event.term,
            "step_ids": event.step_ids,
            "detail": event.detail,
        }
        told = {key: value for key, value in more.items() if value}
        self._append("event", None, seq=event.seq, at=event.at, event=event.type, **told)

    def fault_start(self, name: str, target: str, /, **settings: object) -> int:
        """A fault is about to be injected. → the id its effects and its end need"""
        number = next(self._faults)
        self._append("fault", number, stage="start", name=name, target=target, detail=settings)
        return number

    def fault_effect(self, number: int, /, **proof: object) -> None:
        """The fault took effect, and this is what shows it."""
        self._append("fault", number, stage="effect", detail=proof)

    def fault_end(self, number: int) -> None:
        """The fault is healed. Harmless when repeated."""
        self._append("fault", number, stage="end")

    def phase(self, name: str) -> None:
        self._append("phase", None, name=name)

    def note(self, text: str, /, **value: object) -> None:
        self._append("note", None, text=text, value=value)

    def unrecorded(self, who: str) -> None:
        """Somebody else may submit too: steps that no call here made are no surprise."""
        self._append("unrecorded", None, who=who)

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _append(self, kind: str, number: int | None, **fields: object) -> None:
        # The time is taken under the lock, so that the lines' times are in order too.
        with self._lock:
            if self._file < 0:
                raise ValueError(f"{self.path} is closed")
            about = {} if number is None else {"id": number}
            moment = round(self._clock() - self._began, 6)
            _write_all(self._file, encode({"type": kind, **about, "t": moment, **fields}))

    def _join(self, run: Mapping[str, object]) -> bool:
        """Begins the history, or finds out when it began. True if there was one."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            if os.fstat(self._file).st_size == 0:
                self._began = self._clock()
                _write_all(self._file, encode(self._header(run)))
                return False
            header = _read_header(self.path)
            self._began = float(header["monotonic"])
            self._end_torn_line()
            return True
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _end_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        if os.pread(self._file, 1, size - 1) != b"\n":
            _write_all(self._file, b"\n")

    def _header(self, run: Mapping[str, object]) -> Mapping[str, object]:
        wall = time.time()
        about = {"version": VERSION, "monotonic": self._began, "wall": wall, "run": run}
        return {"type": "header", **about}


class OpenOperation:
    """A call under way. Exactly one of ok, fail and info is recorded; the first one counts."""

    def __init__(
        self, recorder: Recorder, process: str, name: str, value: Mapping[str, object]
    ) -> None:
        self._recorder = recorder
        self._process = process
        self._name = name
        self._value = value
        self._number = 0
        self._over = False

    def ok(self, /, **answer: object) -> None:
        if self._first():
            self._recorder.ok(self._number, self._name, {**self._value, **answer})

    def fail(self, error: object) -> None:
        if self._first():
            self._recorder.fail(self._number, error)

    def info(self, error: object = "") -> None:
        if self._first():
            self._recorder.info(self._number, error)

    def __enter__(self) -> Self:
        self._number = self._recorder.invoke(self._process, self._name, self._value)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.ok()
        elif isinstance(error, HAD_NO_EFFECT) and not hasattr(error, "__notes__"):
            self.fail(error)
        else:  # also a refusal with a note: it tells of requests that were done before
            self.info(error)

    def _first(self) -> bool:
        first, self._over = not self._over, True
        return first


def encode(record: Mapping[str, object]) -> bytes:
    """One line. Whatever JSON has no word for is written as text, never refused."""
    try:
        text = _dump(record)
    except (ValueError, TypeError):
        text = _dump(_plain(record))
    return text.encode() + b"\n"


def _said(error: object) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)


def _other(value: object) -> object:
    if isinstance(value, bytes):
        return fingerprint(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


_dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_other).encode


def _plain(value: Any) -> Any:
    """With keys that are no strings, numbers that are not finite and the like spelled out."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _read_header(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        first = lines.readline()
    try:
        header = json.loads(first)
        known = header["type"] == "header" and header["version"] == VERSION
        float(header["monotonic"])
    except (ValueError, TypeError, KeyError):
        known = False
    if not known:
        raise ValueError(f"{path} is no history that version {VERSION} could continue")
    return dict(header)
