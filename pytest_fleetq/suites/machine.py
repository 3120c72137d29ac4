"""The machine a report was made on."""

import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from fleetq_server import __version__


def system() -> dict[str, object]:
    return {
        "cpu_count": psutil.cpu_count(),
        "memory_total_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "disk_free_gb": round(psutil.disk_usage(str(Path.cwd())).free / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "versions": {
            "fleetq": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("pytest", "grpcio", "apsw")},
        },
    }
