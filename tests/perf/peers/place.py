"""Where peers are measured: an environment that has them, and a server that keeps its promises."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import psycopg

from fleetq_server.bench.fleet import BenchError
from pytest_fleetq.postgres.server import Server
from pytest_fleetq.postgres.shared import DSN

DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


def environment(folder: Path, *packages: str) -> Path:
    """The interpreter of a new virtual environment with those packages."""
    python = folder / "bin" / "python"
    if uv := shutil.which("uv"):
        make = [uv, "venv", "--quiet", "--python", sys.executable]
        install = [uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        make = [sys.executable, "-m", "venv"]
        install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*make, str(folder)], check=True)
    subprocess.run([*install, *packages], check=True)
    return python


def versions(python: Path) -> dict[str, str]:
    """Of all packages in that interpreter's environment."""
    asked = subprocess.run([str(python), "-c", _VERSIONS], check=True, capture_output=True)
    return dict(json.loads(asked.stdout))


_VERSIONS = """
import json
from importlib.metadata import distributions
print(json.dumps({each.name.lower(): each.version for each in distributions()}))
"""


@contextmanager
def durable_server() -> Iterator[str]:
    """The URL of the server of FLEET_Q_TEST_DSN, or of one of our own.

    Raises:
        BenchError: it would lose what it acknowledged.
    """
    given = os.environ.get(DSN)
    with nullcontext(given) if given else _own_server() as url:
        for name in DURABLE:
            if (value := answer(url, f"SHOW {name}")) != "on":
                raise BenchError(f"{name} is {value} at the server of {DSN}: switch it on there")
        yield url


@contextmanager
def _own_server() -> Iterator[str]:
    server = Server(Path(tempfile.mkdtemp(prefix="fleetq-peers-")))
    try:
        server.create()
        server.start()
        yield server.dsn
    finally:
        server.remove()


@contextmanager
def new_database(server: str) -> Iterator[str]:
    name = f"fleetq_peers_{token_hex(4)}"
    order(server, f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        order(server, f"DROP DATABASE {name} WITH (FORCE)")


def order(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def answer(url: str, sql: str) -> object:
    """The one value of a query."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]
