"""The pages on metrics and traces do what they show."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher

from tests.docs.pages import Block, blocks, patterns, write_files
from tests.docs.shell import Prompt, Shell, prompt

SHOWN = re.compile(r"127\.0\.0\.1:\d+")


def free() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def with_free_ports(folder: Path, page: str) -> list[Block]:
    """Its files are in the folder; their addresses and those of its blocks are free ones."""
    write_files(page, folder)
    found = blocks(page)
    for shown in {shown for block in found for shown in SHOWN.findall(block.text)}:
        mine = free()
        for file in folder.glob("*.py"):
            file.write_text(file.read_text().replace(shown, mine))
        found = [Block(one.language, one.text.replace(shown, mine)) for one in found]
    return found


@pytest.fixture(scope="module")
def fleetq() -> Iterator[Prompt]:
    with prompt() as one:
        yield one


@pytest.mark.parametrize("page", ["metrics.md", "tracing.md"])
def test_what_a_page_shows_is_so(page: str, tmp_path: Path, fleetq: Prompt) -> None:
    found = with_free_ports(tmp_path, page)
    if any("curl" in block.text for block in found) and shutil.which("curl") is None:
        pytest.skip("the page shows curl, which is not here")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FLEET", "PYTEST_"))}
    with Shell(fleetq, tmp_path, clean) as shell:
        for block, following in pairwise([*found, Block("", "")]):
            if block.language != "sh":
                continue
            printed = []
            for line in block.text.splitlines():
                ran = shell.run(line)
                assert ran.status == 0, f"{line}\n{ran.printed}"
                printed += ran.printed.splitlines()
            assert following.language == "text"
            LineMatcher(printed).fnmatch_lines(patterns(following.text))
