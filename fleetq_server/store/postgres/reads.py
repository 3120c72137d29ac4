"""A pod's read connection."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fleetq_server.errors import ConfigError, StoreUnavailable
from fleetq_server.model import Event
from fleetq_server.store.postgres import connection
from fleetq_server.store.postgres.connection import OUTAGE, Conn, lent, unavailable
from fleetq_server.store.postgres.tx import SQL
from fleetq_server.store.relational.reading import SqlReader, to_event
from fleetq_server.store.relational.tx import Row


class PostgresReader(SqlReader):
    def __init__(self, url: str) -> None:
        self.url = url
        self._conn: Conn | None = self._connect()
        if connection.schema(self._conn) == 0:
            self._conn.close()
            raise ConfigError("there is no fleet in this database; name the store of a running one")

    def _connect(self) -> Conn:
        conn = connection.connect(self.url, name="reader")
        if not lent(conn):
            # Planned each time: a plan that was right for an empty table reads all of a full one.
            conn.execute("SET plan_cache_mode = force_custom_plan")
        return conn

    def _connected(self) -> Conn:
        if self._conn is None or self._conn.closed:
            self._conn = self._connect()
        return self._conn

    def _ask(self, sql: str, values: tuple[Any, ...]) -> list[Row]:
        try:
            answer = self._connected().execute(sql, values, binary=True)
            return answer.fetchall() if answer.description else []
        except OUTAGE as error:
            raise self._lost(error) from error

    def _lost(self, error: BaseException) -> StoreUnavailable:
        if self._conn is not None:
            self._conn.close()
        return unavailable(error)

    def _run(self, name: str, *values: Any) -> list[Row]:
        return self._ask(SQL[name], values)

    def _run_named(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        return self._ask(SQL[name], tuple(values.values()))

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
        try:
            yield
        finally:
            if self._conn is not None and not self._conn.closed:
                self._ask("COMMIT", ())

    def version(self) -> int:
        return hash(self._run("version")[0])

    def events(self, after: int, limit: int) -> list[Event]:
        horizon = self._run("event_horizon")[0][0]
        if after < 0:
            return [to_event(row) for row in self._run("last_event", horizon)]
        return [to_event(row) for row in self._run("read_events", after, limit, horizon)]

    def _gauges(self) -> Mapping[str, float]:
        return {}

    def health(self) -> Mapping[str, str | int | float | bool]:
        facts = ("server_version", "synchronous_commit", "fsync", "full_page_writes")
        known = {name: str(self._ask(f"SHOW {name}", ())[0][0]) for name in facts}
        bytes_, oldest, connections, most = self._run("health")[0]
        return {
            **known,
            "database_bytes": bytes_,
            "oldest_transaction_seconds": oldest,
            "connections": connections,
            "max_connections": most,
            "pooled": connection.pooled(self._connected()),
            "schema_version": connection.schema(self._connected()),
        }

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
