"""Results kept over time: a folder per benchmark, in it a file of JSON Lines per machine.

    DIRECTORY/step_claiming/3f2a91c07b5e.jsonl

Each line is a document of `results.py` with that one benchmark; the file's name is the fingerprint
of its machine. Such a folder can live in version control: lines are only ever added at the end.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from pytest_fleetq.perf.errors import BadResults, NoData
from pytest_fleetq.perf.fingerprint import identity
from pytest_fleetq.perf.results import Results

SUFFIX = ".jsonl"


def append(directory: Path, results: Results) -> list[Path]:
    """Adds the benchmarks that succeeded; several processes may do so at once. → files written"""
    machine = identity(results.configuration.fingerprint)
    written = []
    for benchmark in results.benchmarks:
        if benchmark.success:
            name = quote(benchmark.benchmark_name, safe=" ").lstrip(".")
            path = directory / name / f"{machine}{SUFFIX}"
            _append_line(path, replace(results, benchmarks=[benchmark]))
            written.append(path)
    return written


def load(directory: Path) -> list[Results]:
    """Of each benchmark and machine, in the order they were added.

    Raises:
        NoData: there are none.
        BadResults: names the file and the line.
    """
    found = [
        Results.from_json(line, f"{path}:{number}")
        for path in sorted(directory.glob(f"*/*{SUFFIX}"))
        for number, line in enumerate(_lines(path), 1)
    ]
    if not found:
        raise NoData(f"{directory} holds no results, which are at BENCHMARK/MACHINE{SUFFIX}")
    return found


def _lines(path: Path) -> Sequence[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadResults(f"{path}: cannot be read: {error}") from None


def _append_line(path: Path, results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(results.to_document(), ensure_ascii=False).encode() + b"\n"
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.write(file.fileno(), line)
