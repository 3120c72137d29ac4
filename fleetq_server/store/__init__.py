"""Opening a store by its URL."""

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote, urlsplit

from fleetq_server.errors import ConfigError
from fleetq_server.store.base import Reader, Store
from fleetq_server.store.sqlite import SqliteReader, SqliteStore, faultvfs

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
            f"store {url!r}: write sqlite:///relative/path.db or sqlite:////absolute/path.db"
        )
    return Path(unquote(parts.path[1:]))


def _open_sqlite(url: str, *, faults: str = "", **options: Any) -> Store:
    vfs = faultvfs.install(Path(faults)) if faults else None
    return SqliteStore(sqlite_path(url), vfs=vfs, **options)


OPENERS: dict[str, Opener] = {"sqlite": _open_sqlite}


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
        raise ConfigError(f"store {url!r}: unknown scheme {scheme!r}; known: {known}")
    return opener(url, rng=rng, max_crashes=max_crashes, **more)


def open_reader(url: str) -> Reader:
    """A read-only view of an existing SQLite store, for tools beside the fleet.

    Raises:
        ConfigError: the URL is malformed or there is no such store.
    """
    path = sqlite_path(url)
    if not path.exists():
        raise ConfigError(
            f"store {url!r}: {path} does not exist; name the store of a running fleet"
        )
    return SqliteReader(path)
