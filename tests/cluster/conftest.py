"""A fleet of real pods per test, whose store is checked by a full scan afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fleet import Pods, pods_over
from tests.cluster.launch import ForkServer, Launcher


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture
def launcher(fork_server: ForkServer) -> Launcher:
    """How the pods of a test are started."""
    return fork_server.launch


@pytest.fixture
def pods(tmp_path: Path, launcher: Launcher) -> Iterator[Pods]:
    with pods_over(tmp_path, launcher) as fleet:
        yield fleet
