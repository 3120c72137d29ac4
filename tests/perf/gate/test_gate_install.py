"""Each commit in an environment of its own."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.perf.gate.repository import Repository, command_of, gate

pytestmark = pytest.mark.commands


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


BACKEND = """
import os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name, info = "toywork-1-py3-none-any.whl", "toywork-1.dist-info"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        wheel.write("toywork.py")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: toywork\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        names = ("toywork.py", f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD")
        wheel.writestr(f"{info}/RECORD", "".join(f"{name},,\\n" for name in names))
    return name
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "toywork"
version = "1"
"""
INSTALLED_BENCH = """
import json, sys
import toywork
assert "site-packages" in toywork.__file__, toywork.__file__
print(json.dumps({"timestamp": "2026-01-01", "benchmarks":
    [{"benchmark_name": "toy", "metrics": {}, "counts": {"calls": toywork.CALLS}}]}))
"""


def test_each_side_runs_what_was_installed_of_it(repository: Repository) -> None:
    folder = repository.directory
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "bin").mkdir()
    (folder / "bin" / "bench.py").write_text(INSTALLED_BENCH)
    (folder / "toywork.py").write_text("CALLS = 1\n")
    base = repository.commit_all()
    (folder / "toywork.py").write_text("CALLS = 2\n")
    repository.commit_all()
    words = ["--base", base, "--directory", str(folder), "--json", "--warm-up", "0"]
    command = command_of(*words, "--", "python", "bin/bench.py")
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr + ended.stdout
    (finding,) = json.loads(ended.stdout)["findings"]
    assert (finding["base"], finding["head"]) == (1, 2)


def test_a_command_of_ones_own_has_pip_and_may_fail(repository: Repository) -> None:
    install = "python -m pip --version && { echo it is broken; exit 7; }"
    ended = gate(repository, "--install", install)
    assert ended.code == 5
    assert ended.document["reason"].startswith("base (")
    assert "ended with 7" in ended.document["reason"]
    assert "it is broken" in ended.document["reason"]
