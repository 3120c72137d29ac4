"""A small disk in memory, which can be filled to the last byte without harm to the machine."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_BYTES = 256 * 1024 * 1024  # beyond it, it is not a disk made for filling


def mount(directory: Path, size: int) -> None:
    """Makes an empty directory a disk of `size` bytes. Needs the right to mount."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "fleetq", str(directory)],
        check=True,
        capture_output=True,
    )


def unmount(directory: Path) -> None:
    subprocess.run(["umount", "--lazy", str(directory)], check=True, capture_output=True)


@functools.cache
def unavailable() -> str | None:
    """Why no disk can be mounted here, or None."""
    if not sys.platform.startswith("linux"):
        return "tmpfs is only on Linux"
    with tempfile.TemporaryDirectory(prefix="fleetq-tmpfs-") as folder:
        try:
            mount(Path(folder), 65_536)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or str(error).encode()
            return f"a small tmpfs cannot be mounted here: {said.decode().strip()}"
        unmount(Path(folder))
    return None


def is_small_disk(directory: Path) -> bool:
    if not directory.is_mount():
        return False
    found = os.statvfs(directory)
    return found.f_frsize * found.f_blocks <= MOST_BYTES


class Ballast:
    """A file that takes all the space but `room` bytes (whole pages of it)."""

    def __init__(self, directory: Path, room: int) -> None:
        self._file = directory / ".fleetq-ballast"
        found = os.statvfs(directory)
        pages = room // found.f_frsize
        taken = max(0, found.f_bavail - pages) * found.f_frsize
        with self._file.open("wb") as file:
            if taken:
                os.posix_fallocate(file.fileno(), 0, taken)
        left = os.statvfs(directory)
        self.effect = (
            f"{directory}: {left.f_bavail * left.f_frsize} bytes free"
            if left.f_bavail <= pages
            else None
        )

    def drop(self) -> None:
        self._file.unlink(missing_ok=True)
