"""What names a store, and what is said of a name that does not."""

from pathlib import Path

import pytest

from fleetq_server.errors import ConfigError
from fleetq_server.store import open_reader, open_store, sqlite_path


def test_three_slashes_are_relative_and_four_absolute() -> None:
    assert sqlite_path("sqlite:///fleet.db") == Path("fleet.db")
    assert sqlite_path("sqlite:////var/a%20b.db") == Path("/var/a b.db")


@pytest.mark.parametrize("url", ["sqlite:", "sqlite:///", "sqlite://host/a.db", "sqlite:///a?b=1"])
def test_a_url_without_a_path_says_how_to_write_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"write sqlite:///relative/path.db or sqlite:////"):
        open_store(url)


def test_an_unknown_scheme_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"unknown scheme 'mysql'; known: .*sqlite"):
        open_store("mysql://host/database")


def test_a_store_in_a_directory_that_is_missing_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"there is no directory '{tmp_path}/none'; make it"):
        open_store(f"sqlite:///{tmp_path}/none/fleet.db")
    with pytest.raises(ConfigError, match="does not exist; name the store of a running fleet"):
        open_reader(f"sqlite:///{tmp_path}/none/fleet.db")
    assert list(tmp_path.iterdir()) == []
