"""The copy of the store that a bundle holds."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from pytest_fleetq.postgres import shared
from pytest_fleetq.postgres.server import NoServer
from pytest_fleetq.report.store import StoreNotCopied, copy_store


@pytest.fixture
def database() -> Iterator[str]:
    try:
        url = shared.fresh()
    except NoServer as reason:
        pytest.skip(str(reason))
    yield url
    shared.leave(url)


def test_a_file_elsewhere_is_copied_while_others_use_it(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    source = tmp_path / "elsewhere.db"
    writer = apsw.Connection(str(source))
    writer.pragma("journal_mode", "wal")
    writer.execute("CREATE TABLE steps (n); INSERT INTO steps VALUES (1), (2)")
    for _ in range(2):  # tests that share a cluster copy it again
        copy_store(f"sqlite:///{source}", folder)
    copy = apsw.Connection(str(folder / "fleet.db"))
    assert list(copy.execute("SELECT sum(n) FROM steps")) == [(3,)]
    copy.close()
    writer.close()


def test_a_file_in_the_bundle_is_its_own_copy(tmp_path: Path) -> None:
    (tmp_path / "mine.db").write_text("as it is")
    copy_store(f"sqlite:///{tmp_path / 'mine.db'}", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.db"]


def test_tables_of_postgresql_are_copied(tmp_path: Path, database: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(database) as connection:
        connection.execute('CREATE TABLE "my ""steps" (n int, what text)')
        connection.execute('INSERT INTO "my ""steps" VALUES (1, NULL), (2, \'a,b\')')
    copy_store(database, tmp_path)
    [copy] = (tmp_path / "store").iterdir()
    assert copy.name == 'my "steps.csv'
    assert copy.read_text() == 'n,what\n1,\n2,"a,b"\n'


def test_a_store_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreNotCopied, match=r"missing\.db could not be copied"):
        copy_store(f"sqlite:///{tmp_path / 'missing.db'}", tmp_path / "bundle")
    pytest.importorskip("psycopg")
    with pytest.raises(StoreNotCopied, match="could not be copied"):
        copy_store("postgresql://127.0.0.1:1/nobody", tmp_path)


def test_stores_of_others_are_theirs(tmp_path: Path) -> None:
    copy_store("cassandra://somewhere", tmp_path)
    copy_store(str(tmp_path), tmp_path)
    assert list(tmp_path.iterdir()) == []
