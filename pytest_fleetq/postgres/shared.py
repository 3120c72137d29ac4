"""The server all tests of a session share, and databases of their own in it."""

import atexit
import fcntl
import os
import subprocess
import sys
import tempfile
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from pytest_fleetq.postgres.server import NoServer

if TYPE_CHECKING:
    import psycopg

DSN = "FLEET_Q_TEST_DSN"


@cache
def dsn() -> str:
    """Where databases for tests can be made: that of the environment, or a server of ours, which
    all processes of the test session share.

    Raises:
        NoServer: there is none, and why.
    """
    return os.environ.get(DSN) or _join(_folder())


def fresh() -> str:
    """The URL of an empty database, for this process alone; give it back with `leave`."""
    if not _left:
        return url_of(_create())
    name = _left.pop()
    with _connected(url_of(name)) as connection:
        connection.execute(_EVICT)
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return url_of(name)


def leave(url: str) -> None:
    """The database is not needed any more. Deleting one takes the server a tenth of a second, so
    that it is emptied when the next is asked for, and deleted at the end."""
    _left.append(urlsplit(url).path[1:])


def url_of(name: str) -> str:
    return urlunsplit(urlsplit(dsn())._replace(path=f"/{name}"))


_left: list[str] = []
_EVICT = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def _create() -> str:
    name = f"fleetq_{uuid.uuid4().hex[:12]}"
    with _connected(dsn()) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    if DSN in os.environ:  # a server of ours goes as a whole
        atexit.register(_delete, name)
    return name


def _delete(name: str) -> None:
    with _connected(dsn()) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


def _connected(url: str) -> "psycopg.Connection[Any]":
    import psycopg  # noqa: PLC0415 - an optional driver

    return psycopg.connect(url, autocommit=True)


def _folder() -> Path:
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}")
    return Path(tempfile.gettempdir()) / f"fleetq-pg-{session[:16]}"


def _join(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    with Path(f"{folder}.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        known = lock.read()
        if known and _use(folder):
            return known
        found = _start(folder)
        lock.truncate(0)
        lock.write(found)
    return found


def _use(folder: Path) -> bool:
    """Counts this process among the users, if the server is still there."""
    try:
        os.open(folder / "users", os.O_WRONLY | os.O_NONBLOCK)  # open for as long as we live
    except OSError:
        return False
    return True


def _start(folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    users = folder / "users"
    users.unlink(missing_ok=True)
    os.mkfifo(users)
    keeper = subprocess.Popen(
        [sys.executable, "-m", "pytest_fleetq.postgres.keeper", str(folder)],
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert keeper.stdout is not None
    os.open(users, os.O_RDWR)  # the keeper waits for the first user; ours for as long as we live
    with keeper.stdout as words:
        said = words.readline().strip()
        if not said.startswith("postgresql://"):
            said += words.read()
            keeper.wait()
            raise NoServer(said)
    keeper.returncode = 0  # it outlives us, for others' sake: a warning that it still runs is none
    return said
