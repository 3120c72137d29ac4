"""Shared by the tests of the verdict."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.verdict.story import Story


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    told = Story(tmp_path / "history.jsonl")
    yield told
    told.recorder.close()
