"""One browser for all tests of a process; where there is none they are skipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.report import browser as driver
from tests.plugin.report.runs import a_broken_run


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[driver.Browser]:
    program = driver.find()
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(driver.NAMES)} is on PATH")
    with driver.Browser(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def browser(chromium: driver.Browser) -> Iterator[driver.Browser]:
    """A tab in which nothing was opened yet; at the end, no page may have complained."""
    chromium.forget()
    chromium.window(1280, 800)
    yield chromium
    assert chromium.complaints == []
    assert [url for url in chromium.requests if not url.startswith("file://")] == []


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The folder of a run in which rules were broken."""
    folder = tmp_path / "cluster-1"
    folder.mkdir()
    return a_broken_run(folder).directory
