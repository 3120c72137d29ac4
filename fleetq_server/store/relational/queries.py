"""Named queries kept in .sql files: `-- name: x` begins one, `;` at a line's end closes it."""

import re
from collections.abc import Mapping
from importlib.resources import files

_NAMED = re.compile(r"^-- name: (\w+)\n(.*?);$", re.MULTILINE | re.DOTALL)


def load_queries(package: str, name: str) -> Mapping[str, str]:
    text = files(package).joinpath(name).read_text()
    return {match[1]: match[2] for match in _NAMED.finditer(text)}


def load_migrations(dialect: str) -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order."""
    folder = files("fleetq_server.store").joinpath("migrations", dialect)
    found = [
        (int(entry.name[:4]), entry.read_text())
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return sorted(found)
