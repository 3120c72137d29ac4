from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_fleetq.faults.proxy.links import Links
from tests.plugin.faults.world import TinyFleet, echoes


@pytest.fixture(scope="module")
def links() -> Iterator[Links]:
    found = Links(seed=7)
    yield found
    found.close()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[TinyFleet]:
    """Three echo servers."""
    with echoes(tmp_path, 3) as found:
        yield found
