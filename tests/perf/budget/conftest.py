"""A service that is not FLEET-Q's, made to be as bad as a test wants it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import arguments, project, run

__all__ = ["arguments", "project", "run"]

SERVICE = Path(__file__).with_name("service.py")

Serve = Callable[..., Any]


@pytest.fixture
def serve(cluster: Callable[..., Any]) -> Serve:
    """One pod, or more, that answer lines; see `service`."""

    def start(n_pods: int = 1, *, links: bool | None = None, **faults: float) -> Any:
        words = [f"{name}={amount}" for name, amount in faults.items()]
        command = [sys.executable, "-I", str(SERVICE), "{port}", *words]
        return cluster(n_pods, command=command, links=links, cwd=Path(__file__).parents[3])

    return start
