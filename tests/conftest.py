"""Shared by all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from fleetq_server import failpoints

# How long an example takes says more about the machine than about the code.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _inert_failpoints() -> Iterator[None]:
    yield
    failpoints.disarm()
