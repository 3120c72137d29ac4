"""A fresh store per test, checked by a full scan afterwards."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fleetq_server.model import HolderKey
from tests.store.driver import BACKENDS, Driver


@pytest.fixture(params=sorted(BACKENDS))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty store; every promise is checked against every kind of store."""
    with BACKENDS[request.param](tmp_path) as url:
        yield url


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A directory where a sync costs nothing, for tests that only kill processes."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(dir="/dev/shm", prefix="fleetq-") as directory:
        yield Path(directory)


@pytest.fixture
def open_driver(url: str) -> Iterator[Callable[..., Driver]]:
    """Opens the same store again, as another process would."""
    opened: list[Driver] = []

    def open_another(**options: Any) -> Driver:
        opened.append(Driver(url, **options))
        return opened[-1]

    yield open_another
    for driver in reversed(opened):
        driver.close()


@pytest.fixture
def fleet(open_driver: Callable[..., Driver]) -> Iterator[Driver]:
    driver = open_driver()
    yield driver
    driver.assert_sound()


@pytest.fixture
def pod(fleet: Driver) -> HolderKey:
    return fleet.join("pod")


@pytest.fixture
def other(fleet: Driver, pod: HolderKey) -> HolderKey:
    fleet.later(1)
    return fleet.join("other")
