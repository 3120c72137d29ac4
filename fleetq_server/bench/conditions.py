"""What a figure depends on besides FLEET-Q, and is worth nothing without."""

import os
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median

import apsw

from fleetq_server import __version__
from fleetq_server.store.sqlite.connection import file_system_of

SYNCS = 50
PAGE_BYTES = 4096


def conditions(directory: Path) -> Mapping[str, object]:
    """Of the machine, as it is now."""
    return {
        "fleetq": __version__,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file_system": file_system_of(directory.resolve()),
        "fsync_ms": round(sync_milliseconds(directory), 3),
        "durability": "synchronous=FULL",
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        **{name: version(name) for name in ("apsw", "grpcio", "protobuf")},
    }


def sync_milliseconds(directory: Path) -> float:
    """Median time to append a page to a file there and sync it."""
    path = directory / "sync"
    page = os.urandom(PAGE_BYTES)
    took: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            os.write(descriptor, page)
            _sync(descriptor)
            took.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    return 1000 * median(took)


def _sync(descriptor: int) -> None:
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(descriptor)
