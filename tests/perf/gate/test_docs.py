"""What docs/gate.md shows happens, in a repository made as it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher

from pytest_fleetq.perf.gate.course import ALPHA, CONFIRMING_ALPHA
from pytest_fleetq.perf.metrics import judging_of
from pytest_fleetq.perf.results import Results
from tests.perf.gate.campaign import CHANGES, recorded
from tests.perf.gate.repository import Repository

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = {text.splitlines()[0][2:]: text for kind, text in BLOCKS if kind == "python"}
COMMANDS = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
(OUTPUT,) = [text for kind, text in BLOCKS if kind == "text"]
(DOCUMENT,) = [text for kind, text in BLOCKS if kind == "json"]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """With all files of the page, and a last commit that looks up twice."""
    made = Repository(tmp_path / "repository")
    for name, text in FILES.items():
        (made.directory / name).write_text(text)
    made.commit_all()
    worse = FILES["greeting.py"].replace("lookups += 1", "lookups += 2")
    (made.directory / "greeting.py").write_text(worse)
    made.commit_all()
    return made


def run(line: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    command = line.replace("fleetq ", f"{sys.executable} -m fleetq_server.cli.main ", 1)
    if line.startswith("python "):
        command = f"{sys.executable}{line.removeprefix('python')}"
    return subprocess.run(command, shell=True, cwd=directory, capture_output=True, text=True)


@pytest.mark.pages
def test_its_commands_do_what_it_says(repository: Repository) -> None:
    assert {shlex.split(line)[0] for line in COMMANDS} == {"fleetq", "python"}
    gate, *others = COMMANDS
    ran = run(gate, repository.directory)
    assert ran.returncode == 1, ran.stderr
    printed = [" ".join(line.split()) for line in ran.stdout.splitlines()]
    LineMatcher(printed).fnmatch_lines([alike(line) for line in OUTPUT.splitlines()])
    for line in others:
        ran = run(line, repository.directory)
        assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"
    assert (repository.directory / "trend.html").exists()
    assert (repository.directory / "trend.png").exists()


def alike(line: str) -> str:
    """With any number where it has one."""
    any_number = re.sub(r"\b[0-9a-f]{12}\b|[+-]?\d[\d,.]*(e-\d+)?|…", "*", line)
    return re.sub(r"\*[* %]*", "*", " ".join(any_number.split()))


def test_no_block_of_it_is_left_out() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "bash", "text", "json"}
    for name in FILES:
        used = f"python {name}" in " ".join(COMMANDS) or f"import {name[:-3]}" in PAGE
        assert used, f"{name} is not run"


def test_its_document_is_read() -> None:
    results = Results.from_json(DOCUMENT, "docs/gate.md")
    assert Results.from_json(results.to_json(), "again") == results
    # It names every field there is.
    shown = json.loads(DOCUMENT)
    assert shown["configuration"].keys() == results.to_document()["configuration"].keys()
    assert shown["benchmarks"][0].keys() == results.to_document()["benchmarks"][0].keys()


def test_names_are_judged_as_its_table_says() -> None:
    table = PAGE[PAGE.index("| name | better |") : PAGE.index("A benchmark may say otherwise")]
    checked = 0
    for row in [line for line in table.splitlines() if line.startswith("| `…") or "_" in line]:
        names, better, gates, effect = (cell.strip() for cell in row.strip("| ").split("|"))
        for name in re.findall(r"`([^`]+)`", names.partition("(")[0]):
            judging = judging_of(name.replace("…", "x"))
            assert judging is not None, name
            said = (judging.better, judging.primary, f"{100 * judging.min_effect:.0f} %")
            assert said == (better, gates == "yes", effect), name
            checked += 1
    assert checked >= 14


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"at one look below {ALPHA:g}" in PAGE
    assert f"confirming round asks for {CONFIRMING_ALPHA:g}" in PAGE
    assert f"over {len(recorded())} pairs" in PAGE
    for change in CHANGES:
        assert f"| {change.name} | recorded |" in PAGE
        assert f"| {change.name} | synthetic |" in PAGE
