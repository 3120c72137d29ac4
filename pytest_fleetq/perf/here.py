"""What results measured here and now say of here and now."""

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from pytest_fleetq.perf import fingerprint
from pytest_fleetq.perf.results import Configuration, SystemInfo


def timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def configuration(
    distributions: Iterable[str] = (),
    versions: Mapping[str, str] | None = None,
    *,
    num_pods: int | None = None,
    seed: int | None = None,
    fsync_ms: float | None = None,
    repository: Path | None = None,
) -> Configuration:
    """
    Args:
        distributions: Installed ones whose versions are told, beside Python's.
        versions: Of other things.
        fsync_ms: Median time of one fsync where the store is, in milliseconds.
        repository: Whose commit is told; the working directory's unless given.
    """
    installed = {name: found for name in distributions if (found := _version(name))}
    memory = psutil.virtual_memory().total / 2**30
    return Configuration(
        num_pods,
        SystemInfo(os.cpu_count(), round(memory, 1)),
        {"python": platform.python_version(), **installed, **(versions or {})},
        _commit(repository or Path.cwd()),
        seed,
        fsync_ms,
        fingerprint.take(),
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _commit(repository: Path) -> str | None:
    command = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return found.stdout.strip() if found.returncode == 0 else None
