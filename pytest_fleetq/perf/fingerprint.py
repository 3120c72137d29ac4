"""What of a machine decides how fast it is: figures are comparable only if all of it is equal."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from math import log2
from pathlib import Path

import psutil

Fingerprint = Mapping[str, str | int]
CPUINFO = Path("/proc/cpuinfo")
VENDOR = Path("/sys/class/dmi/id/sys_vendor")
CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
ID_DIGITS = 12


def take() -> Fingerprint:
    """Of this machine and this interpreter."""
    return {
        "cpu": _cpu(),
        "cores": _cores(),
        "memory_gb": _memory_class(psutil.virtual_memory().total),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release().split('.')[0]}",
        "virtualisation": _virtualisation(),
        "python": f"{platform.python_implementation()} {_minor(platform.python_version())}",
    }


def identity(fingerprint: Fingerprint) -> str:
    """A short name for it, for files."""
    text = json.dumps(dict(sorted(fingerprint.items())), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def differences(one: Fingerprint, other: Fingerprint) -> list[str]:
    """In words, one for each field: `cores: 2, not 4`."""
    names = [*one, *(name for name in other if name not in one)]
    return [
        f"{name}: {other.get(name, 'unknown')}, not {one.get(name, 'unknown')}"
        for name in names
        if one.get(name) != other.get(name)
    ]


def _cpu() -> str:
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_class(size: int) -> int:
    """The power of two nearest to it in GB: a kernel's own share differs from boot to boot."""
    return int(2 ** max(0, round(log2(size / 2**30))))


def _virtualisation() -> str:
    if any(mark.exists() for mark in CONTAINER_MARKS):
        return "container"
    try:
        guest = " hypervisor " in f"{CPUINFO.read_text(errors='replace')} "
        return VENDOR.read_text().strip() or "guest" if guest else "none"
    except OSError:
        return "unknown"


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
