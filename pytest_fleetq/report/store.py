"""A copy of the store, where it does not lie in the bundle by itself."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import apsw

if TYPE_CHECKING:
    import psycopg

FOLDER = "store"
COPY = "fleet.db"


class StoreNotCopied(Exception):
    """The store could not be read; the message says why."""


def copy_store(url: str, folder: Path) -> None:
    """Into the folder: a SQLite file as it is, the tables of a PostgreSQL schema as CSV.

    What others share, or a plugin brings, is theirs to keep.

    Raises: StoreNotCopied.
    """
    kind, _, rest = url.partition(":")
    if kind == "sqlite":
        _copy_file(Path(unquote(rest.removeprefix("///"))), folder)
    elif kind in ("postgresql", "postgres"):
        _copy_tables(url, folder / FOLDER)


def _copy_file(path: Path, folder: Path) -> None:
    if path.resolve().is_relative_to(folder.resolve()):
        return
    target = folder / COPY
    target.unlink(missing_ok=True)
    try:
        source = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            source.execute("VACUUM INTO ?", (str(target),))
        finally:
            source.close()
    except apsw.Error as error:
        raise StoreNotCopied(f"the store {path} could not be copied: {error}") from error


def _copy_tables(url: str, target: Path) -> None:
    psycopg = import_module("psycopg")  # an extra, as for the pods
    target.mkdir(exist_ok=True)
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            found = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            )
            for (name,) in found.fetchall():
                _copy_table(connection, name, target / f"{name}.csv")
    except psycopg.Error as error:
        raise StoreNotCopied(f"the store could not be copied: {error}") from error


def _copy_table(connection: "psycopg.Connection[tuple[str, ...]]", name: str, path: Path) -> None:
    quoted = name.replace('"', '""')
    command = f'COPY "{quoted}" TO STDOUT WITH (FORMAT csv, HEADER)'
    # As bytes: it comes from nobody but the server, which names its own tables.
    with (
        path.open("wb") as file,
        connection.cursor() as cursor,
        cursor.copy(command.encode()) as rows,
    ):
        file.writelines(rows)
