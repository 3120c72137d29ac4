"""The SQLite store: one file, one host, any number of pods."""

from fleetq_server.store.sqlite.reads import SqliteReader
from fleetq_server.store.sqlite.store import SqliteStore

__all__ = ["SqliteReader", "SqliteStore"]
