"""The schema is made once, whoever comes first, and told apart from others'."""

from contextlib import ExitStack

import psycopg
import pytest
from click.testing import CliRunner

from fleetq_server.cli.main import main
from fleetq_server.errors import StoreRefused
from fleetq_server.store import open_store
from tests.store.children import Say, child


def migrate(*options: str, store: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["migrate", *options, "--store", store])
    return done.exit_code, done.output


def order(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


def test_a_check_tells_whether_there_is_work_and_does_none(url: str) -> None:
    for _ in range(2):
        code, text = migrate("--check", store=url)
        assert (code, "run fleetq migrate" in text) == (1, True)
    code, text = migrate(store=url)
    assert (code, "migrated from schema 0" in text) == (0, True)
    code, text = migrate("--check", store=url)
    assert (code, "up to date" in text) == (0, True)


def open_and_close(say: Say, url: str) -> None:
    open_store(url).close()
    say("done")


def test_processes_that_start_together_migrate_once(url: str) -> None:
    with ExitStack() as stack:
        racers = [stack.enter_context(child(open_and_close, url)) for _ in range(4)]
        assert [racer.hear_out() for racer in racers] == [["done"]] * 4


def test_this_version_works_in_the_next_schema_if_that_one_allows_it(url: str) -> None:
    open_store(url).close()
    order(url, "INSERT INTO schema_migrations (number, serves) VALUES (9999, 1)")
    open_store(url).close()
    order(url, "UPDATE schema_migrations SET serves = 9999 WHERE number = 9999")
    with pytest.raises(StoreRefused, match="newer pytest-fleetq"):
        open_store(url)


def test_a_database_that_is_not_there_is_named(url: str) -> None:
    with pytest.raises(StoreRefused, match="does not exist: create it first"):
        open_store(url.replace("/fleetq_", "/no_fleetq_"))
