"""Pods over PostgreSQL."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_fleetq.postgres.server import NoServer, Server
from tests.cluster.conftest import fork_server, launcher
from tests.cluster.fleet import Pods, pods_over
from tests.cluster.launch import Launcher
from tests.store.databases import fresh_database

__all__ = ["fork_server", "launcher"]


@pytest.fixture
def url() -> Iterator[str]:
    with fresh_database() as url:
        yield url


@pytest.fixture
def pods(tmp_path: Path, launcher: Launcher, url: str) -> Iterator[Pods]:
    with pods_over(tmp_path, launcher, url) as fleet:
        yield fleet


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, as durable as in production: it may be killed. Not in tmp_path,
    which is for one's own account only."""
    try:
        server = Server(Path(tempfile.mkdtemp(prefix="fleetq-pg-")))
    except NoServer as missing:
        pytest.skip(str(missing))
    server.create()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def durable_pods(tmp_path: Path, launcher: Launcher, server: Server) -> Iterator[Pods]:
    """Over the server that may be killed."""
    with pods_over(tmp_path, launcher, server.dsn) as fleet:
        yield fleet
