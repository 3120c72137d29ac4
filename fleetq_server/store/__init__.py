"""Opening a store by its URL."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from fleetq_server.errors import ConfigError
from fleetq_server.redaction import shown
from fleetq_server.store.base import Reader, Store
from fleetq_server.store.sqlite import SqliteReader, SqliteStore, faultvfs

if TYPE_CHECKING:
    from fleetq_server.store.postgres.examine import PostgresExaminer

Opener = Callable[..., Store]


def sqlite_path(url: str) -> Path:
    """The file of `sqlite:///relative/path` or `sqlite:////absolute/path`."""
    parts = urlsplit(url)
    if (
        parts.scheme != "sqlite"
        or parts.netloc
        or len(parts.path) < 2
        or parts.query
        or parts.fragment
    ):
        raise ConfigError(
            f"store {shown('store', url)!r}: write sqlite:///relative/path.db or sqlite:////absolute/path.db"
        )
    return Path(unquote(parts.path[1:]))


def _open_sqlite(url: str, *, faults: str = "", silence: float = 0.0, **options: Any) -> Store:
    del silence  # a lock of the kernel is proof at any time
    path = sqlite_path(url)
    if not path.parent.is_dir():
        raise ConfigError(
            f"store {shown('store', url)!r}: there is no directory {str(path.parent)!r}; make it"
        )
    vfs = faultvfs.install(Path(faults)) if faults else None
    return SqliteStore(path, vfs=vfs, **options)


def is_postgres(url: str) -> bool:
    return url.partition(":")[0] in ("postgresql", "postgres")


def _postgres(module: str = "") -> ModuleType:
    """The driver is an extra."""
    try:
        return import_module(f"fleetq_server.store.postgres{module}")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"a postgresql:// store needs {error.name}: pip install 'pytest-fleetq[postgres]'"
        ) from error


def _open_postgres(url: str, **options: Any) -> Store:
    store: Store = _postgres().PostgresStore(url, **options)
    return store


OPENERS: dict[str, Opener] = {
    "sqlite": _open_sqlite,
    "postgresql": _open_postgres,
    "postgres": _open_postgres,
}


def open_store(
    url: str,
    *,
    rng: Random | None = None,
    max_crashes: int = 3,
    schemes: Mapping[str, Opener] | None = None,
    **more: Any,
) -> Store:
    """Opens (and creates, if new) the store of a URL; `schemes` adds those of plugins.

    Raises:
        ConfigError: the URL is malformed or no store answers to its scheme.
        StoreRefused: the store must not be used as it is.
    """
    scheme = url.partition(":")[0]
    opener = {**OPENERS, **(schemes or {})}.get(scheme)
    if opener is None:
        known = ", ".join(sorted({**OPENERS, **(schemes or {})}))
        raise ConfigError(
            f"store {shown('store', url)!r}: unknown scheme {scheme!r}; known: {known}"
        )
    return opener(url, rng=rng, max_crashes=max_crashes, **more)


def examine_postgres(url: str) -> "PostgresExaminer":
    """
    Raises:
        ConfigError: the URL is malformed, or there is no fleet in that database.
        StoreRefused: the server does not let one in, or is too old.
        StoreUnavailable: it cannot be reached.
    """
    examiner: PostgresExaminer = _postgres(".examine").PostgresExaminer(url)
    return examiner


def open_reader(url: str) -> Reader:
    """A read-only view of an existing store, for tools beside the fleet.

    Raises:
        ConfigError: the URL is malformed or there is no such store.
        StoreUnavailable: the server cannot be reached.
    """
    if is_postgres(url):
        reader: Reader = _postgres().PostgresReader(url)
        return reader
    path = sqlite_path(url)
    if not path.exists():
        raise ConfigError(
            f"store {shown('store', url)!r}: {path} does not exist; "
            "name the store of a running fleet"
        )
    return SqliteReader(path)
