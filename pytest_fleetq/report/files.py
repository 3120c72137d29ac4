"""Writing files of a bundle."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Nobody sees half of it: tests that share a cluster end at the same time.

    Raises: OSError.
    """
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
