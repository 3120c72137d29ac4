"""Connecting to PostgreSQL: what is refused, what is an outage, and what a retry mends."""

import select
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.types.numeric import Int8BinaryDumper

from fleetq_server.errors import ConfigError, StoreRefused, StoreUnavailable
from fleetq_server.redaction import shown
from fleetq_server.store.relational.queries import load_migrations

Conn = psycopg.Connection[tuple[Any, ...]]

OLDEST_SERVER = 140000
CONNECT_SECONDS = 3
MIGRATION_LOCK = 1718379880

# A transaction whose pod stands still must not keep the fleet waiting; one that is ended
# so has written nothing, and its pod tries again.
IDLE_IN_TRANSACTION = "2s"
LOCK_TIMEOUT = "4s"
TRANSACTION_TIMEOUT = "8s"  # from PostgreSQL 17; also for one that stopped halfway through sending

# Another pod did the same at the same moment: the whole group again finds what that one did.
CONTENTION = (errors.SerializationFailure, errors.DeadlockDetected, errors.UniqueViolation)
# The last one: somebody cleared the session under us (DISCARD ALL), so that it knows our statements
# no more; another one mends that.
OUTAGE = (
    psycopg.OperationalError, psycopg.InterfaceError, OSError, errors.InvalidSqlStatementName
)  # fmt: skip


def connect(url: str, *, name: str) -> Conn:
    """
    Raises:
        ConfigError: the URL is malformed.
        StoreRefused: no FLEET-Q store can be kept there.
        StoreUnavailable: the server cannot be reached now.
    """
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        problem = shown("store", str(error).strip())  # libpq quotes the URL, password and all
        raise ConfigError(f"store: {problem}; write postgresql://host/database") from None
    try:
        conn: Conn = psycopg.Connection.connect(
            psycopg.conninfo.make_conninfo(_NAME.format(name), **{**_PATIENCE, **given}),
            autocommit=True,
            cursor_factory=psycopg.RawCursor,
        )
    except psycopg.OperationalError as error:
        raise _refusal(error) or unavailable(error) from error
    if conn.info.server_version < OLDEST_SERVER:
        version = conn.info.server_version // 10_000
        conn.close()
        raise StoreRefused(f"PostgreSQL {version} is too old: use 14 or later")
    conn.adapters.register_dumper(int, Int8BinaryDumper)  # one type, one prepared statement
    if pooled(conn):
        conn.prepare_threshold = None
    return conn


_NAME = "application_name='fleetq {}'"

# A server that vanished without a word is given up within seconds.
_PATIENCE = {
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
}


# The driver tells a failed connection by its text alone.
_ADVICE = {
    "does not exist": "create it first",
    "authentication failed": "check user and password",
    "no pg_hba.conf entry": "let the server accept this host and user",
}
_DOWN = ("Connection refused", "No such file or directory", "the database system is")


def _refusal(error: psycopg.Error) -> StoreRefused | None:
    text = str(error).strip()
    for words, advice in _ADVICE.items():
        if words in text:
            return StoreRefused(
                f"{text.splitlines()[-1].rpartition('FATAL:')[2].strip()}: {advice}"
            )
    return None


def unavailable(error: BaseException) -> StoreUnavailable:
    return StoreUnavailable(f"the store is not available ({type(error).__name__}); try again")


def server_is_down(error: BaseException) -> bool:
    """Whether nobody answers at that address at all, or only that the server is starting."""
    return any(words in str(error.__cause__) for words in _DOWN)


def pooled(conn: Conn) -> bool:
    """Whether a pooler stands in between (PgBouncer): then nothing may rest on the session. A
    pooler makes up the process number it announces."""
    answer = conn.execute("SELECT pg_backend_pid()").fetchone()
    return answer is None or answer[0] != conn.info.backend_pid


def lent(conn: Conn) -> bool:
    """What connect() found out about that: each transaction may be in another session."""
    return conn.prepare_threshold is None


def readable(conn: Conn, seconds: float, *more: int) -> Sequence[int]:
    """Which of the connection's socket and other descriptors have something to read."""
    return select.select([conn.fileno(), *more], [], [], seconds)[0]


def schema(conn: Conn) -> int:
    """The number of the newest migration applied; 0 for none."""
    # Not to_regclass(): within a transaction that remembers what others have changed meanwhile.
    known = conn.execute(
        "SELECT FROM pg_class WHERE relname = 'schema_migrations' AND pg_table_is_visible(oid)"
    )
    if not known.rowcount:
        return 0
    row = conn.execute("SELECT coalesce(max(number), 0) FROM schema_migrations").fetchone()
    assert row is not None
    return int(row[0])


def pending(conn: Conn) -> list[tuple[int, str]]:
    """The migrations a store still needs.

    Raises:
        StoreRefused: a newer version changed the schema in a way this one does not know.
    """
    migrations = load_migrations("postgres")
    have, newest = schema(conn), migrations[-1][0]
    if have > newest and not compatible(conn, newest):
        raise StoreRefused(
            f"the store has schema {have}, this version knows {newest}: "
            "install a newer pytest-fleetq"
        )
    return [(number, script) for number, script in migrations if number > have]


def compatible(conn: Conn, newest: int) -> bool:
    """Each migration records the oldest schema whose code can still work with what it leaves."""
    row = conn.execute("SELECT max(serves) FROM schema_migrations").fetchone()
    return row is not None and row[0] is not None and row[0] <= newest


def migrate(conn: Conn) -> int:
    """Brings the schema up to date, one transaction for all; returns its version."""
    if pending(conn):
        with conn.transaction():
            conn.execute("SELECT pg_advisory_xact_lock($1)", [MIGRATION_LOCK])
            for number, script in pending(conn):
                conn.execute(script)
                conn.execute(_RECORD, [number])
    return schema(conn)


_RECORD = "INSERT INTO schema_migrations (number, serves) VALUES ($1, $1) ON CONFLICT DO NOTHING"
