"""A real PgBouncer in transaction mode, where one is installed."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

PROGRAM = os.environ.get("FLEETQ_PGBOUNCER", "pgbouncer")
PATIENCE = 20.0

_SETTINGS = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
"""


@contextmanager
def through_pgbouncer(url: str, folder: Path, sessions: int) -> Iterator[str]:
    """→ the URL that leads through it to `sessions` sessions, lent for a transaction each."""
    program = shutil.which(PROGRAM)
    if program is None:
        pytest.skip("PgBouncer is not installed; FLEETQ_PGBOUNCER may name one")
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = free.getsockname()[1]
    path = folder / "pgbouncer.ini"
    port, user = parts.port or 5432, parts.username or "postgres"
    path.write_text(
        _SETTINGS.format(host=host, port=port, user=user, listen=listen, sessions=sessions)
    )
    as_nobody = ["-u", "nobody"] if os.getuid() == 0 else []  # it refuses to be root
    with (
        (folder / "pgbouncer.log").open("wb") as log,
        subprocess.Popen([program, *as_nobody, path], stdout=log, stderr=log) as process,
    ):
        try:
            pooled = f"postgresql://{user}@127.0.0.1:{listen}{parts.path}"
            _until_it_answers(pooled, process, folder / "pgbouncer.log")
            yield pooled
        finally:
            process.kill()


def _until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(url, autocommit=True).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PgBouncer does not answer: {log.read_text()}")
            time.sleep(0.05)
        else:
            return
