"""The files of a directory, and their hashes computed without a fleet."""

import hashlib
import os
import stat
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Not of the standard library, or written while Python runs.
NOT_STANDARD = frozenset({"site-packages", "dist-packages", "__pycache__"})


class File(NamedTuple):
    """A regular file as it was found. Its path is bytes: not every name is text."""

    path: bytes
    size: int
    stamp: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.path.decode(errors="backslashreplace")


class Collection(NamedTuple):
    directory: str
    files: list[File]
    skipped: Counter[str]  # how many, by reason

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def standard_library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def collect(directory: Path | None) -> Collection:
    """The readable regular files under a directory, or those of the standard library."""
    root = standard_library() if directory is None else directory.absolute()
    without = NOT_STANDARD if directory is None else frozenset[str]()
    skipped: Counter[str] = Counter()
    files = sorted(_walk(os.fsencode(root), {os.fsencode(name) for name in without}, skipped))
    return Collection(str(root), files, skipped)


def hash_file(path: bytes) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - a path of bytes
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_unchanged(file: File) -> str | None:
    """The file's hash; None if it is no longer the file that was found."""
    try:
        found = hash_file(file.path)
        return found if _stamp(os.stat(file.path)) == file.stamp else None  # noqa: PTH116
    except OSError:
        return None


def _walk(folder: bytes, without: set[bytes], skipped: Counter[str]) -> Iterator[File]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        skipped["unreadable directories"] += 1
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in without:
                yield from _walk(entry.path, without, skipped)
        elif isinstance(found := _examine(entry), File):
            yield found
        else:
            skipped[found] += 1


def _examine(entry: "os.DirEntry[bytes]") -> File | str:
    """The file behind an entry, or why there is none to hash."""
    try:
        found = entry.stat()
    except OSError:
        return "dangling links" if entry.is_symlink() else "unreadable files"
    if stat.S_ISDIR(found.st_mode):
        return "links to directories"
    if not stat.S_ISREG(found.st_mode):
        return "special files"
    if not os.access(entry.path, os.R_OK):
        return "unreadable files"
    return File(entry.path, found.st_size, _stamp(found))


def _stamp(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
