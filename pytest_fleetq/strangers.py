"""Who may submit steps past the history: then a step that no recorded call made is no surprise."""

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_fleetq.cluster.fleet import Fleet

# A program that imports neither calls no pod, or by a way of its own.
_CALLING = ("fleetq_server.client", "fleetq_server.pb")


def strangers(fleet: Fleet) -> list[str]:
    request = fleet.request
    found = sorted(fleet.handed_out)
    if request.other_clients:
        found.append("cluster(other_clients=True)")
    if fleet.is_common:
        found.append("tests in other processes")
    if "://" in (request.store or ""):
        found.append("whoever uses that store")
    folders = [request.cwd or Path.cwd(), *fleet.python_path]
    found += [f"handlers {name}" for name in request.handlers if _may_call(name, folders, set())]
    return found


def _may_call(module: str, folders: Sequence[Path], seen: set[str]) -> bool:
    """Whether it, or a module of the project that it imports, imports a client; or nobody knows."""
    source = _source(module, [*folders, *map(Path, sys.path)])
    if source is None:
        return True
    for name in _imports(source):
        if name.startswith(_CALLING):
            return True
        if name not in seen and _source(name, folders) is not None:
            seen.add(name)
            if _may_call(name, folders, seen):
                return True
    return False


def _source(module: str, folders: Sequence[Path]) -> Path | None:
    parts = Path(*module.split("."))
    for folder in folders:
        for file in (folder / parts.with_suffix(".py"), folder / parts / "__init__.py"):
            if file.is_file():
                return file
    return None


def _imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
