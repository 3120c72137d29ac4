"""Reading a store for `fleetq doctor`: also who is tied to the database at this moment."""

from collections.abc import Mapping

from fleetq_server.store.postgres import connection
from fleetq_server.store.postgres.connection import OUTAGE
from fleetq_server.store.postgres.life import lives
from fleetq_server.store.postgres.reads import PostgresReader
from fleetq_server.store.relational.queries import load_migrations


class PostgresExaminer(PostgresReader):
    """
    Raises:
        ConfigError: there is no fleet in that database.
        StoreRefused: the server does not let one in, or is too old.
        StoreUnavailable: it cannot be reached.
    """

    def health(self) -> Mapping[str, str | int | float | bool]:
        now = float(self._ask("SELECT extract(epoch FROM clock_timestamp())::float8", ())[0][0])
        serves = connection.compatible(self._connected(), self.newest_schema())
        return {**super().health(), "now": now, "schema_serves": serves}

    def without_life(self, holder_ids: frozenset[str]) -> frozenset[str]:
        """Those whose liveness lock nobody holds; through a pooler nothing can be said."""
        try:
            conn = self._connected()
            if connection.pooled(conn):
                return frozenset()
            return holder_ids - lives(conn, holder_ids)
        except OUTAGE as error:
            raise self._lost(error) from error

    @staticmethod
    def newest_schema() -> int:
        return load_migrations("postgres")[-1][0]
