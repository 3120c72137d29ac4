"""Shared by all tests."""

from collections.abc import Iterator

import pytest

from fleetq_server import failpoints


@pytest.fixture(autouse=True)
def _inert_failpoints() -> Iterator[None]:
    yield
    failpoints.disarm()
