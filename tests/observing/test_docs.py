"""The pages on metrics and traces do what they show."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import text_of, with_free_ports
from tests.docs.shell import Prompt, Shell, prompt


@pytest.fixture(scope="module")
def fleetq() -> Iterator[Prompt]:
    with prompt() as one:
        yield one


@pytest.mark.parametrize("page", ["metrics.md", "tracing.md"])
def test_what_a_page_shows_is_so(page: str, tmp_path: Path, fleetq: Prompt) -> None:
    if "curl " in text_of(page) and shutil.which("curl") is None:
        pytest.skip("the page shows curl, which is not here")
    with Shell(fleetq, tmp_path) as shell:
        shell.follow(with_free_ports(page))
