"""Looks as CSV: one row for the system and the fleet, and one for each pod, at each look."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pytest_fleetq.perf.monitor.model import Look

COLUMNS = (
    "timestamp", "elapsed_seconds", "scope", "name", "cpu_percent", "memory_percent",
    "disk_percent", "rss_mb", "threads", "fds", "running", "scheduled", "pending", "claimed",
    "completed", "failed", "submitted_per_second", "completed_per_second", "failure_percent",
    "events",
)  # fmt: skip

Row = dict[str, object]


class Export:
    """A file that grows with each look, so that an interrupted run leaves what it saw."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.DictWriter(self._file, COLUMNS)
        self._rows.writeheader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, look: Look, told: list[str]) -> None:
        self._rows.writerows(_rows(look, told))
        self._file.flush()


def _rows(look: Look, told: list[str]) -> Iterator[Row]:
    when: Row = {
        "timestamp": datetime.fromtimestamp(look.at, UTC).isoformat(timespec="milliseconds"),
        "elapsed_seconds": round(look.elapsed, 3),
    }
    system = look.system
    yield {
        **when, "scope": "system", "name": "", "cpu_percent": system.cpu_percent,
        "memory_percent": system.memory_percent, "disk_percent": system.disk_percent,
        "events": "; ".join(told),
    }  # fmt: skip
    if (queues := look.queues) is not None:
        yield {
            **when, "scope": "fleet", "name": "", "scheduled": queues.scheduled,
            "pending": queues.pending, "claimed": queues.claimed, "completed": queues.completed,
            "failed": queues.failed,
            "submitted_per_second": round(queues.submitted_per_second, 3),
            "completed_per_second": round(queues.completed_per_second, 3),
            "failure_percent": queues.failure_percent,
        }  # fmt: skip
    for pod in look.pods:
        yield {
            **when, "scope": "pod", "name": pod.pod, "cpu_percent": pod.cpu_percent,
            "rss_mb": round(pod.rss_mb, 1), "threads": pod.threads, "fds": pod.fds,
            "running": pod.running,
        }  # fmt: skip
