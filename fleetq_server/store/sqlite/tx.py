"""A transaction over SQLite: statements are function calls, so each is run at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from fleetq_server.failpoints import hit
from fleetq_server.store.relational.queries import load_queries
from fleetq_server.store.relational.tx import Lanes, Row, Rules, Tx

SQL: Mapping[str, str] = load_queries("fleetq_server.store.sqlite", "sqlite.sql")


class SqliteTx(Tx):
    __slots__ = ("db", "now")

    def __init__(self, db: apsw.Connection, lanes: Lanes, rules: Rules, now: float) -> None:
        super().__init__(lanes, rules)
        self.db = db
        self.now = now

    def run(self, name: str, *values: Any) -> list[Row]:
        hit("store.between_statements")
        return self.db.execute(SQL[name], values).fetchall()

    def run_named(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        return self.db.execute(SQL[name], values).fetchall()

    def run_many(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        self.db.executemany(SQL[name], rows)
