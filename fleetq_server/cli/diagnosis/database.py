"""Checks of the file, the library that reads it, and what lies around it."""

import shutil
from pathlib import Path

from fleetq_server.cli.diagnosis.check import (
    Check,
    Facts,
    check_scan,
    check_schema,
    ok,
    problem,
    readable,
    size,
    warning,
)
from fleetq_server.store.sqlite.connection import NETWORK_FILE_SYSTEMS
from fleetq_server.store.sqlite.examine import SqliteExaminer

LARGE_WAL = 64 * 1024**2
LITTLE_SPACE = 512 * 1024**2
NO_SPACE = 32 * 1024**2
IN_MEMORY = frozenset({"tmpfs", "ramfs"})
KEEP = "stop all pods, keep a copy of the store and its -wal file, and report this"


def check_facts(facts: Facts, newest_schema: int) -> list[Check]:
    """What a reader's health() says of a store; `newest_schema` is the one written here."""
    return [
        _library(facts),
        _file_system(facts),
        _journal(facts),
        _durability(facts),
        _wal(facts),
        check_schema(int(facts["schema_version"]), newest_schema),
    ]


def check_space(path: Path) -> Check:
    free = shutil.disk_usage(path.absolute().parent).free
    finding, advice = f"{size(free)} free", "make room, or pods will refuse writes"
    if free < NO_SPACE:
        return problem("disk space", finding, advice)
    if free < LITTLE_SPACE:
        return warning("disk space", finding, advice)
    return ok("disk space", finding)


def check_contents(store: SqliteExaminer) -> list[Check]:
    return [
        readable("structure", lambda: _structure(store), KEEP),
        check_scan(store, KEEP),
    ]


def _library(facts: Facts) -> Check:
    version = f"SQLite {facts['sqlite_version']}"
    if facts["wal_reset_bug"]:
        return problem(
            "library",
            f"{version} can corrupt a store that several processes write (the WAL-reset bug)",
            "pods refuse to start: install apsw 3.51.3 or later",
        )
    return ok("library", f"{version}, without the WAL-reset bug")


def _file_system(facts: Facts) -> Check:
    kind = str(facts["file_system"])
    if kind in NETWORK_FILE_SYSTEMS:
        finding = f"{kind}, a network file system, where SQLite's WAL does not work"
        return problem("file system", finding, "move the store to a local disk")
    if kind in IN_MEMORY:
        finding = f"{kind}, which is memory: all steps are lost when the machine restarts"
        return warning("file system", finding, "move the store to a disk")
    return ok("file system", f"{kind or 'of unknown type'}, local")


def _journal(facts: Facts) -> Check:
    mode = str(facts["journal_mode"])
    if mode == "wal":
        return ok("journal mode", "wal")
    finding = f"{mode}: another program has changed it"
    return problem("journal mode", finding, "restart the pods, each sets it to wal")


def _durability(facts: Facts) -> Check:
    level = str(facts["synchronous"])
    if level in ("full", "extra"):
        return ok("durability", f"pods commit with synchronous={level}")
    return problem(
        "durability",
        f"pods commit with synchronous={level}: a power loss may take acknowledged steps",
        "install an unmodified pytest-fleetq",
    )


def _wal(facts: Facts) -> Check:
    now, database = int(facts["wal_bytes"]), int(facts["database_bytes"])
    finding = f"{size(now)} beside a database of {size(database)}"
    if now <= LARGE_WAL:
        return ok("WAL", finding)
    advice = "see that a pod leads and that no other program keeps a transaction open"
    return warning("WAL", f"{finding}: nobody empties it", advice)


def _structure(store: SqliteExaminer) -> Check:
    damage = store.damage()
    if damage:
        return problem("structure", "; ".join(damage), KEEP)
    return ok("structure", "SQLite finds no damage")
