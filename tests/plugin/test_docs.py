"""The pages under docs/ that tell how to write tests do what they show (see tests.docs.pages)."""

import importlib.util
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher

from tests.docs.pages import DOCS, Block, blocks, patterns, status_of, write_files
from tests.plugin.conftest import as_installed, xdist

PAGES = ("writing-tests.md", "options.md", "plugins.md", "verdict.md")
PLAIN = re.compile(r"pytest (?:-n 2 )?(test_\w+\.py)")
ASYNC = ["-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function"]


@dataclass
class Command:
    line: str
    expected: list[str]

    @property
    def words(self) -> list[str]:
        return shlex.split(status_of(self.line)[0])

    @property
    def status(self) -> int:
        return status_of(self.line)[1]


def commands(page: Sequence[Block]) -> list[Command]:
    """In order, but for plain runs of one file, which are one run at the end: to start pytest takes
    longer than most of what they do."""
    found, files = [], []
    for block, following in pairwise([*page, Block("", "")]):
        if block.language != "sh":
            continue
        expected = following.text if following.language == "text" else ""
        for line in block.text.splitlines():
            plain = PLAIN.fullmatch(line)
            if plain and not expected:
                files.append(plain[1])
            else:
                found.append(Command(line, patterns(expected)))
    return [*found, Command(f"pytest -n 2 {' '.join(files)}", [])] if files else found


def program(words: Sequence[str], arguments: list[str]) -> list[str]:
    match words[0]:
        case "pytest":
            more = [*xdist(words), *(ASYNC if "test_async.py" in words else [])]
            return [sys.executable, "-m", "pytest", *arguments, *more, *words[1:]]
        case "pip":
            target = ["--target", ".", "--no-deps", "--no-build-isolation", "--quiet"]
            python = ["--python", sys.executable]
            uv = f"{sysconfig.get_path('scripts')}/uv"
            return [uv, "pip", "install", *python, *target, *words[2:]]
        case "python":
            return [sys.executable, *words[1:]]
    raise AssertionError(f"what is {words[0]}?")


@pytest.fixture
def folder(project: pytest.Pytester) -> Path:
    (project.path / "my_handlers.py").unlink()
    return project.path


@pytest.mark.pages
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_so(
    folder: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    if page == "plugins.md":
        if importlib.util.find_spec("hatchling") is None:
            pytest.skip("hatchling, which builds the plugin of the page, is not installed")
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")  # it is found once installed
        arguments = as_installed()
    write_files(page, folder)
    for command in commands(blocks(page)):
        words = program(command.words, arguments)
        ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=90)
        assert ran.returncode == command.status, f"{command.line}\n{ran.stdout}\n{ran.stderr}"
        LineMatcher(ran.stdout.splitlines()).fnmatch_lines(command.expected)


@pytest.mark.parametrize("page", PAGES)
def test_no_block_of_a_page_is_left_out(page: str) -> None:
    run = " ".join(command.line for command in commands(blocks(page)))
    for block in blocks(page):
        assert block.file or block.language in ("sh", "text"), block.text
        name = Path(block.file).name
        if name.startswith("test_"):
            assert name in run or "pytest --strict" in run, f"{name} is never run"


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (DOCS / target).exists(), f"{page.name} links to {target}"
