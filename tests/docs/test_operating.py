"""The pages on running and observing a fleet do what they show."""

import os
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher

from tests.docs.pages import Block, blocks, patterns, status_of, text_of, write_files
from tests.docs.shell import Prompt, Shell, prompt

PAGES = ("monitoring.md", "configuration.md", "troubleshooting.md", "performance.md")
SHOWN_ADDRESS = "127.0.0.1:7411"


@pytest.fixture
def address() -> str:
    """Free on this machine, in place of the one that pages show."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@pytest.fixture(scope="module")
def fleetq() -> Iterator[Prompt]:
    with prompt() as one:
        yield one


@pytest.fixture
def shell(fleetq: Prompt, tmp_path: Path) -> Iterator[Shell]:
    strange = ("FLEET", "PYTEST_", "COLUMNS")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(strange)}
    with Shell(fleetq, tmp_path, variables) as one:
        yield one


@pytest.mark.pages
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_so(page: str, shell: Shell, tmp_path: Path, address: str) -> None:
    write_files(page, tmp_path)
    for block, following in pairwise([*blocks(page), Block("", "")]):
        if block.language != "sh":
            continue
        printed = []
        for line in block.text.splitlines():
            command, status = status_of(line.replace(SHOWN_ADDRESS, address))
            ran = shell.run(command)
            assert ran.status == status, f"{line}\n{ran.printed}"
            printed += ran.printed.splitlines()
        if following.language == "text":
            LineMatcher(printed).fnmatch_lines(patterns(following.text))


@pytest.mark.parametrize("page", PAGES)
def test_no_block_of_a_page_is_left_out(page: str) -> None:
    for block, before in pairwise([*reversed(blocks(page)), Block("sh", "")]):
        runs = block.file or block.language == "sh"
        assert runs or (block.language == "text" and before.language == "sh"), block.text


def test_every_page_is_in_the_index() -> None:
    index = text_of("README.md")
    pages = Path(__file__).parents[2].joinpath("docs").glob("*.md")
    missing = [page.name for page in pages if f"]({page.name})" not in index]
    assert missing == ["README.md"]
