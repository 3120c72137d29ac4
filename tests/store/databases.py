"""A database per test, in the one server of the test session."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_fleetq.postgres import shared
from pytest_fleetq.postgres.server import NoServer


@contextmanager
def fresh_database() -> Iterator[str]:
    try:
        url = shared.fresh()
    except NoServer as missing:
        pytest.skip(str(missing))
    try:
        yield url
    finally:
        shared.leave(url)
