"""What workers of xdist and the process that starts them tell each other."""

from pathlib import Path
from typing import Any

import pytest

SEED = "fleetq_seed"
_PROBLEM, _KEPT = "fleetq_problem", "fleetq_kept"  # what a worker says at its end

KEPT = pytest.StashKey[list[str]]()  # the folders that are left for people


def refuse(config: pytest.Config, items: list[pytest.Item], error: pytest.UsageError) -> None:
    """Raises it, except in a worker: xdist would call it an internal error, and lose its text."""
    output = getattr(config, "workeroutput", None)
    if output is None:
        raise error
    output[_PROBLEM] = str(error)
    items.clear()


def tell_kept(config: pytest.Config, folder: Path | None) -> None:
    if folder is None:
        return
    output = getattr(config, "workeroutput", None)
    if output is None:
        config.stash.setdefault(KEPT, []).append(str(folder))
    else:
        output[_KEPT] = str(folder)


def listen(node: Any) -> None:
    """What a worker that has finished said. Raises: pytest.UsageError."""
    said = getattr(node, "workeroutput", None) or {}  # nothing, if it crashed
    if _KEPT in said:
        node.config.stash.setdefault(KEPT, []).append(said[_KEPT])
    if _PROBLEM in said:
        raise pytest.UsageError(said[_PROBLEM])
