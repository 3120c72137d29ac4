"""How busy the machine was with the work of others while a pair ran."""

import time
from dataclasses import dataclass
from pathlib import Path

import psutil

PRESSURE = Path("/proc/pressure/cpu")
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Noise:
    """
    Attributes:
        foreign_cores: Cores that neither base nor head kept busy.
        stolen_cores: Those among them that the host gave to other guests.
        pressure: Share of the time in which something waited for a core; None if not known.
    """

    foreign_cores: float
    stolen_cores: float
    pressure: float | None


class Watch:
    """From its making until `noise`."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._busy, self._stolen, self._waited = _busy(), _stolen(), _waited()

    def noise(self, own_cpu_seconds: float) -> Noise:
        seconds = max(time.monotonic() - self._begun, 1e-3)
        stolen = _stolen() - self._stolen
        foreign = _busy() - self._busy - own_cpu_seconds
        waited = _waited()
        known = waited is not None and self._waited is not None
        return Noise(
            round(max(0.0, foreign / seconds), 3),
            round(max(0.0, stolen / seconds), 3),
            round(((waited or 0) - (self._waited or 0)) / seconds, 3) if known else None,
        )


def _busy() -> float:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # Guests' time is within that of users already.
    return float(sum(times) - idle - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0))


def _stolen() -> float:
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _waited() -> float | None:
    try:
        some = PRESSURE.read_text().splitlines()[0]
    except OSError:
        return None
    return int(some.rpartition("total=")[2]) / MICROSECONDS
