"""The pages on running and observing a fleet do what they show."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, text_of, with_free_ports
from tests.docs.shell import Prompt, Shell, prompt

PAGES = (
    "monitoring.md",
    "configuration.md",
    "troubleshooting.md",
    "performance.md",
    "security.md",
)


@pytest.fixture(scope="module")
def fleetq() -> Iterator[Prompt]:
    with prompt() as one:
        yield one


@pytest.mark.pages
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_so(page: str, fleetq: Prompt, tmp_path: Path) -> None:
    if "openssl " in text_of(page) and shutil.which("openssl") is None:
        pytest.skip("the page shows openssl, which is not here")
    with Shell(fleetq, tmp_path) as shell:
        shell.follow(with_free_ports(page))


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
