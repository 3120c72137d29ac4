"""Files that are read again when they change."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from fleetq_server.errors import ConfigError
from fleetq_server.telemetry import get_logger

LOOK_SECONDS = 0.5

T = TypeVar("T")
_Stamps = tuple[tuple[int, int, int], ...]

log = get_logger()


class Watched(Generic[T]):
    """What `read` makes of some files.

    Looks no more often than every LOOK_SECONDS whether they changed. What is then wrong with them
    is logged, and what they said before stays in force: a slip must not shut everybody out.
    """

    def __init__(
        self,
        paths: tuple[Path, ...],
        read: Callable[[], T],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises: ConfigError naming the file that cannot be read."""
        self._paths = paths
        self._read = read
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._stamps = self._look()
        self._value = read()

    @property
    def value(self) -> T:
        self.fresh()
        return self._value

    def fresh(self) -> bool:
        """Reads again if it is time to. → whether there is a new value"""
        now = self._monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = now
        try:
            stamps = self._look()
            if stamps == self._stamps:
                return False
            value = self._read()
            if self._look() != stamps:  # changed meanwhile: what was read may be half of each
                return False
        except ConfigError as error:
            log.warning("kept what was read before", cause=str(error))
            return False
        self._stamps, self._value = stamps, value
        log.info("read again", files=[str(path) for path in self._paths])
        return True

    def _look(self) -> _Stamps:
        return tuple(_stamp(path) for path in self._paths)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"file {path}: {error.strerror}") from None
    return found.st_mtime_ns, found.st_ino, found.st_size


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"file {path}: {error.strerror}") from None
