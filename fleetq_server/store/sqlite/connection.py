"""Opening a fleet's database file: what is refused, what is set, and the schema."""

from pathlib import Path
from typing import Any

import apsw

from fleetq_server.errors import StoreRefused
from fleetq_server.store.relational.queries import load_migrations

WAL_RESET_FIXED = (3, 51, 3)
WAL_RESET_BACKPORTS = {(3, 50): 7, (3, 44): 6}
NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs"),
        *("ceph", "fuse.ceph", "fuse.sshfs", "glusterfs", "fuse.glusterfs"),
        *("lustre", "gfs2", "ocfs2", "beegfs"),
    }
)
BUSY_TIMEOUT_MS = 5000  # only ever met when something outside the fleet writes to the file


def has_wal_reset_bug(version: str) -> bool:
    """Whether this SQLite may corrupt a WAL file that several processes write and checkpoint
    (3.7.0 to 3.51.2; sqlite.org/wal.html)."""
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    parts = (major, minor, patch)
    if parts >= WAL_RESET_FIXED or parts < (3, 7, 0):
        return False
    fixed_in = WAL_RESET_BACKPORTS.get((major, minor))
    return fixed_in is None or patch < fixed_in


def file_system_of(path: Path) -> str:
    """The type of the file system a path lies on, or "" where that cannot be told."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4]
        inside = point == "/" or str(path) == point or str(path).startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind


def check_refusals(path: Path) -> None:
    version = apsw.sqlite_lib_version()
    if has_wal_reset_bug(version):
        raise StoreRefused(
            f"SQLite {version} can corrupt a database that several processes write "
            "(WAL reset, fixed in 3.51.3): install apsw 3.51.3 or later"
        )
    kind = file_system_of(path.parent.resolve())
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreRefused(
            f"{path} is on a network file system ({kind}), where SQLite's WAL does not work: "
            "put it on a local disk, or use a postgresql:// store"
        )
    if not path.parent.is_dir():
        raise StoreRefused(f"the directory of {path} does not exist: create it first")


def connect(path: Path, *, read_only: bool = False, vfs: str | None = None) -> apsw.Connection:
    check_refusals(path)
    try:
        db = apsw.Connection(str(path), vfs=vfs)
    except apsw.CantOpenError as error:
        raise StoreRefused(f"cannot open {path}: {error}; check its permissions") from error
    db.set_busy_timeout(BUSY_TIMEOUT_MS)
    try:
        mode = db.pragma("journal_mode", "wal")
    except apsw.NotADBError as error:
        db.close()
        raise StoreRefused(f"{path} is not a SQLite database: choose another file") from error
    if mode != "wal":
        db.close()
        raise StoreRefused(
            f"{path} cannot use WAL (journal mode is {mode}): put it on a local disk"
        )
    for name, value in _settings(read_only):
        db.pragma(name, value)
    # One plan whatever the values: else SQLite prepares every statement with LIMIT ? anew each
    # time it runs, which costs more than running it.
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return db


def _settings(read_only: bool) -> list[tuple[str, Any]]:
    return [
        (
            "synchronous",
            "full",
        ),  # never trust the compiled default: an acknowledged step survives power loss
        ("wal_autocheckpoint", 0),  # the leader alone checkpoints
        ("mmap_size", 0),  # another process truncating the file would kill this one by SIGBUS
        ("temp_store", "memory"),
        ("foreign_keys", 0),
        ("cache_size", -2000 if read_only else -8000),
        ("journal_size_limit", 64 * 1024 * 1024),
        ("query_only", int(read_only)),
    ]


def migrate(db: apsw.Connection) -> int:
    """Brings the schema up to date, one transaction for all; returns its version."""
    migrations = load_migrations("sqlite")
    newest = migrations[-1][0]
    if db.pragma("user_version") == newest:
        return newest
    with _Immediate(db):
        have = int(db.pragma("user_version"))
        if have > newest:
            raise StoreRefused(
                f"the store has schema {have}, this version knows {newest}: "
                "install a newer pytest-fleetq"
            )
        for number, script in migrations:
            if number > have:
                db.execute(script)
        db.pragma("user_version", newest)
    return newest


class _Immediate:
    """BEGIN IMMEDIATE … COMMIT; a deferred transaction turned writer cannot wait its turn."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")


def wal_bytes(path: Path) -> int:
    try:
        return Path(f"{path}-wal").stat().st_size
    except FileNotFoundError:
        return 0
