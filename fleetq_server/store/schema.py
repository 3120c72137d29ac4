"""Which schema a store has, and which one this version writes."""

from importlib import import_module
from typing import NamedTuple

from fleetq_server.store import is_postgres, open_store, sqlite_path
from fleetq_server.store.relational.queries import load_migrations
from fleetq_server.store.sqlite.examine import SqliteExaminer


class Schema(NamedTuple):
    number: int  # 0: nothing there yet
    newest: int

    @property
    def current(self) -> bool:
        return self.number >= self.newest


def look_at_schema(url: str) -> Schema:
    """
    Raises:
        ConfigError: the URL is malformed or names no kind of store that has migrations.
        StoreRefused, StoreUnavailable: it cannot be looked at.
    """
    if is_postgres(url):
        connection = import_module("fleetq_server.store.postgres.connection")
        with connection.connect(url, name="migrate") as conn:
            return Schema(connection.schema(conn), load_migrations("postgres")[-1][0])
    path = sqlite_path(url)
    newest = load_migrations("sqlite")[-1][0]
    if not path.exists():
        return Schema(0, newest)
    store = SqliteExaminer(path)
    try:
        return Schema(int(store.health()["schema_version"]), newest)
    finally:
        store.close()


def bring_up_to_date(url: str) -> Schema:
    """Opening a store migrates it. Pods of the version before may go on working in it."""
    open_store(url).close()
    return look_at_schema(url)
