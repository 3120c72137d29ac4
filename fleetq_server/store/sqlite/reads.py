"""A pod's read connection. No read ever pins the WAL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from fleetq_server.errors import StoreUnavailable
from fleetq_server.store.relational.reading import SqlReader
from fleetq_server.store.relational.tx import Row
from fleetq_server.store.sqlite.connection import (
    connect,
    file_system_of,
    has_wal_reset_bug,
    wal_bytes,
)
from fleetq_server.store.sqlite.tx import SQL


class SqliteReader(SqlReader):
    def __init__(self, path: Path, *, vfs: str | None = None) -> None:
        self.path = path
        self._db = connect(path, read_only=True, vfs=vfs)

    def _run(self, name: str, *values: Any) -> list[Row]:
        return self._read(SQL[name], values)

    def _run_named(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        return self._read(SQL[name], values)

    def _read(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        try:
            return self._db.execute(sql, values).fetchall()
        except apsw.Error as error:
            raise StoreUnavailable(
                f"the store cannot be read ({type(error).__name__}); try again"
            ) from error

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Several statements that see the store as of one moment."""
        try:
            with self._db:
                yield
        except apsw.Error as error:
            raise StoreUnavailable(
                f"the store cannot be read ({type(error).__name__}); try again"
            ) from error

    def version(self) -> int:
        return int(self._read("PRAGMA data_version")[0][0])

    def _gauges(self) -> Mapping[str, float]:
        return {"wal_bytes": float(wal_bytes(self.path))}

    def health(self) -> Mapping[str, str | int | float | bool]:
        version = apsw.sqlite_lib_version()
        return {
            "sqlite_version": version,
            "wal_reset_bug": has_wal_reset_bug(version),
            "journal_mode": str(self._db.pragma("journal_mode")),
            "synchronous": {0: "off", 1: "normal", 2: "full", 3: "extra"}[
                self._db.pragma("synchronous")
            ],
            "file_system": file_system_of(self.path.resolve().parent),
            "database_bytes": self.path.stat().st_size,
            "wal_bytes": wal_bytes(self.path),
            "schema_version": int(self._db.pragma("user_version")),
        }

    def close(self) -> None:
        self._db.close()
