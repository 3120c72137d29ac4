"""The PostgreSQL store."""

from fleetq_server.store.postgres.reads import PostgresReader
from fleetq_server.store.postgres.store import PostgresStore

__all__ = ["PostgresReader", "PostgresStore"]
