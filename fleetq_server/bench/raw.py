"""The raw limit: the statements of a pod's transactions, in their order, straight through apsw.

They are recorded from the store itself, so they stay the same whatever becomes of the store, and
played back on a copy of the file: no objects, no threads, no gate, no other process. What is left
is what SQLite and the disk allow at this batch.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import apsw

from fleetq_server.store.sqlite.connection import connect

CHECKPOINT_BYTES = 16 * 1024 * 1024  # a pod's default

Statement = tuple[str, list[Any]]  # SQL, and the values of each time it ran in a row
Transaction = list[Statement]


@contextmanager
def recorded() -> Iterator[list[Transaction]]:
    """The transactions of connections that are opened within."""
    heard: list[Transaction] = []

    def hear(cursor: apsw.Cursor, sql: str, values: Any) -> bool:
        if sql.startswith("BEGIN"):
            heard.append([])
        if cursor.connection.in_transaction or sql.startswith("BEGIN"):
            _add(heard[-1], sql, () if values is None else values)
        return True

    def listen(connection: apsw.Connection) -> None:
        connection.exec_trace = hear

    apsw.connection_hooks.append(listen)
    try:
        yield heard
    finally:
        apsw.connection_hooks.remove(listen)


def _add(transaction: Transaction, sql: str, values: Any) -> None:
    if transaction and transaction[-1][0] == sql:
        transaction[-1][1].append(values)
    else:
        transaction.append((sql, [values]))


class Player:
    """Plays transactions on a copy of the store they were recorded from."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.set_wal_hook(self._saw_commit)
        self._wal_pages = 0
        self._page_size = int(self._db.pragma("page_size"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def play(self, transactions: Sequence[Transaction]) -> float:
        """The seconds it takes."""
        begun = time.perf_counter()
        for transaction in transactions:
            for sql, values in transaction:
                if len(values) == 1:
                    self._db.execute(sql, values[0]).fetchall()
                else:
                    self._db.executemany(sql, values).fetchall()
            self._check_wal()
        return time.perf_counter() - begun

    def _check_wal(self) -> None:
        if self._wal_pages * self._page_size >= CHECKPOINT_BYTES:
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            self._wal_pages = 0

    def _saw_commit(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK


def play(path: Path, transactions: Sequence[Transaction]) -> float:
    """The seconds they take on this copy."""
    with Player(path) as player:
        return player.play(transactions)
