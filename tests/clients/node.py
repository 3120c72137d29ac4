"""Node.js and the packages of examples/node, from npm, kept between runs."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest

from tests.cluster.launch import ROOT

EXAMPLE = ROOT / "examples" / "node"
FILES = ("package.json", "package-lock.json")
OLDEST = (20, 3)
PATIENCE = 60.0  # seconds for npm


@cache
def environment() -> dict[str, str]:
    """For node to find its packages. Skips the test, with the reason, where that cannot be."""
    packages = _cached() or _install()
    return {**os.environ, "NODE_PATH": str(packages / "node_modules")}


def _cached() -> Path | None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=PATIENCE)
    version = tuple(int(part) for part in said.stdout.strip().lstrip("v").split(".")[:2])
    if version < OLDEST:
        pytest.skip(f"node {said.stdout.strip()} is too old for AbortSignal.any")
    return _place() if _place().exists() else None


def _place() -> Path:
    content = b"".join((EXAMPLE / name).read_bytes() for name in FILES)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "fleetq-tests" / f"node-{hashlib.sha256(content).hexdigest()[:16]}"


def _install() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    _place().parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=_place().parent))
    for name in FILES:
        shutil.copy(EXAMPLE / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
        with suppress(OSError):  # another process was quicker
            folder.rename(_place())
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm does not get the packages of examples/node: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return _place()
