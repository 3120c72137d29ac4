"""Reading a store without leaving a trace in it, even one that a pod would refuse."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import apsw

from fleetq_server.errors import StoreUnavailable
from fleetq_server.store.relational.queries import load_migrations
from fleetq_server.store.sqlite.connection import _settings
from fleetq_server.store.sqlite.reads import SqliteReader

WAL_FORMAT = b"\2\2"  # sqlite.org/fileformat.html: write and read version


class SqliteExaminer(SqliteReader):
    """A reader that opens the file read-only, whatever library and file system that happens on.

    Raises:
        StoreUnavailable: the file cannot be read, or is no SQLite database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # Without a WAL nobody has the store open, and an ordinary reader would create one.
        self._alone = not self._wal.exists()
        try:
            self._db = self._open()
        except apsw.Error as error:
            raise StoreUnavailable(f"{path} cannot be read: {error}") from error

    def _open(self) -> apsw.Connection:
        how = "mode=ro&immutable=1" if self._alone else "mode=ro"
        db = apsw.Connection(
            f"file:{quote(str(self.path.absolute()))}?{how}",
            flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        )
        try:
            # The last one to close a store empties its WAL into it.
            db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            db.set_busy_timeout(1000)
            for name, value in _settings(read_only=True):
                db.pragma(name, value)
            db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except BaseException:
            db.close()
            raise
        return db

    def health(self) -> Mapping[str, str | int | float | bool]:
        facts = dict(super().health())
        if self._alone and self._header()[18:20] == WAL_FORMAT:
            facts["journal_mode"] = "wal"  # of a file taken for immutable, SQLite says "delete"
        return facts

    def _header(self) -> bytes:
        with self.path.open("rb") as file:
            return file.read(100)

    @property
    def _wal(self) -> Path:
        return Path(f"{self.path}-wal")

    @property
    def disturbed(self) -> bool:
        """Whether somebody opened the store meanwhile: what was read may not fit together."""
        return self._alone and self._wal.exists()

    def damage(self) -> list[str]:
        """What SQLite finds wrong with the file's structure; reads all of it."""
        found = [str(row[0]) for row in self._read("PRAGMA quick_check(10)")]
        return [] if found == ["ok"] else found

    @staticmethod
    def newest_schema() -> int:
        return load_migrations("sqlite")[-1][0]
