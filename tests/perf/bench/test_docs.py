"""What docs/benchmarks.md shows is run as it stands there, and what it lists is what there is."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher

from pytest_fleetq.perf.bench.command import STANDARD
from pytest_fleetq.perf.bench.outputs import LONG_NAMES
from pytest_fleetq.perf.results import Results

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
QUICK, LONG = (
    [line for kind, text in BLOCKS if kind == wanted for line in text.splitlines()]
    for wanted in ("bash", "sh")
)
(OUTPUT,) = [text for kind, text in BLOCKS if kind == "text"]
(DOCUMENT,) = [text for kind, text in BLOCKS if kind == "json"]
PROGRAMS = {"fleetq": ["-m", "fleetq_server.cli.main"], "python": []}


def run(line: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    program, *words = shlex.split(line)
    words = [str(ROOT / word) if word.startswith("scripts/") else word for word in words]
    command = [sys.executable, *PROGRAMS[program], *words]
    ran = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"
    return ran


@pytest.mark.pages
@pytest.mark.timeout(300)  # five programs, one after the other
def test_its_commands_do_what_it_says(tmp_path: Path) -> None:
    printed, *_ = [run(line, tmp_path).stdout for line in QUICK]
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    LineMatcher(lines).fnmatch_lines([alike(line) for line in OUTPUT.splitlines()])
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"results.json", "results.csv", "results.png", "baselines", "flames"}
    assert (tmp_path / "flames" / "concurrent-pod-1.svg").exists()
    written = json.loads((tmp_path / "results.json").read_text())
    [benchmark] = written["benchmarks"]
    [shown] = json.loads(DOCUMENT)["benchmarks"]
    assert benchmark.keys() >= shown.keys() | {"lines", "problems", "conditions"}
    for name in ("metrics", "raw", "ratio", "workload"):
        assert benchmark[name].keys() >= shown[name].keys()


def alike(line: str) -> str:
    """With anything where it has a number that is no bound, or dots."""
    return " ".join(re.sub(r"(?<![≥≤] )\b\d[\d.,]*|…", "*", line).split())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("line", LONG)
def test_the_commands_that_take_minutes_do_too(tmp_path: Path, line: str) -> None:
    assert "measured" in run(line, tmp_path).stdout


def test_its_document_is_read() -> None:
    results = Results.from_json(DOCUMENT, "docs/benchmarks.md")
    assert results.to_document()["benchmarks"][0]["raw"]


def test_no_block_of_it_is_left_out_and_its_table_lists_the_four() -> None:
    assert {kind for kind, _ in BLOCKS} == {"bash", "sh", "text", "json"}
    rows = dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE))
    assert rows == LONG_NAMES
    assert tuple(rows) == STANDARD
