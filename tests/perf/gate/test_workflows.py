"""The workflows in ci/: they are YAML, and every command in them exists."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / "ci").glob("*.yml"))
# Of a user's project, not of ours.
THEIRS = {"benchmarks/run.py"}
VARIABLE = re.compile(r"\$\{\{.*?\}\}")


def read(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in read(path)["jobs"].values():
        yield from job["steps"]


def commands(path: Path) -> list[str]:
    """Each line that a shell runs, lines that are continued put together."""
    texts = [VARIABLE.sub("x", step["run"]) for step in steps(path) if "run" in step]
    lines = "\n".join(texts).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip()]


def test_there_is_one_of_ours_and_a_template() -> None:
    assert [path.name for path in WORKFLOWS] == ["github-template.yml", "github-workflow.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_what_github_needs(path: Path) -> None:
    document = read(path)
    # YAML 1.1 takes the key `on` for a truth value.
    assert document[True].keys() >= {"push", "pull_request"}
    assert document["permissions"] == {"contents": "read"}
    for name, job in document["jobs"].items():
        assert job["runs-on"] == "ubuntu-latest", name
        assert job["timeout-minutes"] > 0, name
    for step in steps(path):
        assert ("run" in step) != ("uses" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_exists(path: Path) -> None:
    found = commands(path)
    assert found
    for line in found:
        _check(line)


def _check(line: str) -> None:
    for part in re.split(r"&&|\|\||;", line):
        words = shlex.split(part)
        if not words or words[0] in {"if", "then", "fi", "exit", "[", "test", "code=$?"}:
            continue
        program, *rest = words
        if program == "fleetq":
            _check_fleetq(rest, part)
        elif program == "python":
            _check_python(rest)
        else:
            assert shutil.which(program), f"{program} is not installed: {line}"


def _check_fleetq(words: list[str], line: str) -> None:
    helped = subprocess.run(
        [sys.executable, "-m", "fleetq_server.cli.main", words[0], "--help"],
        capture_output=True,
        text=True,
    )
    assert helped.returncode == 0, line
    ours = words[: words.index("--")] if "--" in words else words
    for word in ours[1:]:
        if word.startswith("--"):
            assert word.partition("=")[0] in helped.stdout, f"{word} is no option: {line}"
    if "--" in words:
        _check(shlex.join(words[words.index("--") + 1 :]))


def _check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert words[1] in {"pip", "pytest", "venv"}
    elif words[0] not in THEIRS:
        assert (ROOT / words[0]).is_file(), f"there is no {words[0]}"


def test_ours_keeps_what_the_suites_and_the_gate_leave() -> None:
    path = ROOT / "ci" / "github-workflow.yml"
    kept = [
        step["with"]["path"] for step in steps(path) if "upload-artifact" in step.get("uses", "")
    ]
    assert any("integration_test_report.json" in each for each in kept)
    assert any("gate" in each for each in kept)
    ran = "\n".join(commands(path))
    assert "run_integration_tests.py --suite integration" in ran
    assert "run_integration_tests.py --suite performance" in ran
    assert "fleetq gate" in ran
