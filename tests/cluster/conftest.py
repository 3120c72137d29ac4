"""A fleet of real pods per test, whose store is checked by a full scan afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fleet import Pods


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    fleet = Pods(tmp_path)
    try:
        yield fleet
    finally:
        fleet.go_on()
        fleet.end()
