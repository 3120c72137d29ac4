"""Shared by the tests of the verdict."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_fleetq.cluster.session import Session
from tests.plugin.verdict.fleets import ROOT, Start, starting
from tests.plugin.verdict.story import Story


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    session = Session(None, [ROOT])
    yield session
    session.close()


@pytest.fixture
def start(session: Session) -> Iterator[Start]:
    with starting(session) as start:
        yield start


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    told = Story(tmp_path / "history.jsonl")
    yield told
    told.recorder.close()
