"""The pages under docs/ that tell how to write tests do what they show.

A block that begins with `# name` is a file, a block of `sh` is run in the folder of those files,
`text` after it is what its output has, in this order, with … for anything.
"""

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

from tests.plugin.conftest import ROOT, as_installed, xdist

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w./]+\.\w+)\n")
EXITS = re.compile(r"\s+# exits (\d+)$")
ONE_FILE = re.compile(r"pytest (test_\w+\.py)")
ASYNC = ["-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function"]


@dataclass
class Block:
    language: str
    text: str

    @property
    def file(self) -> str:
        found = FILE.match(self.text)
        return found[1] if found else ""


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [Block(*found) for found in BLOCK.findall(text)]


@dataclass
class Command:
    line: str
    expected: list[str]

    @property
    def words(self) -> list[str]:
        return shlex.split(EXITS.sub("", self.line))

    @property
    def status(self) -> int:
        found = EXITS.search(self.line)
        return int(found[1]) if found else 0


def commands(page: Sequence[Block]) -> list[Command]:
    """In order, but for plain runs of one file, which are one run at the end."""
    found, files = [], []
    for block, following in pairwise([*page, Block("", "")]):
        if block.language != "sh":
            continue
        expected = following.text.splitlines() if following.language == "text" else []
        for line in block.text.splitlines():
            plain = ONE_FILE.fullmatch(line)
            if plain and not expected:
                files.append(plain[1])
            else:
                found.append(Command(line, expected))
    return [*found, Command(f"pytest {' '.join(files)}", [])] if files else found


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


@pytest.mark.parametrize("page", ["writing-tests.md", "options.md", "plugins.md"])
def test_what_a_page_shows_is_so(
    folder: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    if page == "plugins.md":
        if importlib.util.find_spec("hatchling") is None:
            pytest.skip("hatchling, which builds the plugin of the page, is not installed")
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")  # it is found once installed
        arguments = as_installed()
    shown = blocks(page)
    for block in shown:
        if block.file:
            path = folder / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text)
    for command in commands(shown):
        words = program(command.words, arguments)
        ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=90)
        assert ran.returncode == command.status, f"{command.line}\n{ran.stdout}\n{ran.stderr}"
        wanted = [line.replace("…", "*") for line in command.expected]
        LineMatcher(ran.stdout.splitlines()).fnmatch_lines(wanted)


@pytest.mark.parametrize("page", ["writing-tests.md", "options.md", "plugins.md"])
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
