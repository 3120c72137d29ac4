"""What goes to the server through libpq comes there as it was meant, and comes back as it is."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.store.postgres import connection
from fleetq_server.store.postgres.wire import Wire
from tests.store.databases import fresh_database

TYPES = ["bigint", "float8", "text", "bytea"]
STATEMENTS = {
    **{name: f"SELECT $1::{name}" for name in TYPES},
    **{f"{name}s": f"SELECT $1::{name}[]" for name in TYPES},
    "boolean": "SELECT $1::boolean",
    "one": "SELECT 1",
    "two rows": "SELECT n, n * 2 FROM unnest($1::bigint[]) AS n",
    "wrong": "SELECT 1 / $1::int",
    "nowhere": "SELECT * FROM nowhere",
    "keep": "INSERT INTO kept VALUES ($1)",
    "kept": "SELECT n FROM kept",
    "sleep": "SELECT pg_sleep($1)",
    "forget_plans": "DISCARD PLANS",
}

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
values = {
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "float8": st.floats(allow_nan=False),
    "text": texts,
    "bytea": st.binary(),
}


@pytest.fixture(scope="module", params=[True, False], ids=["prepared", "lent"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    with fresh_database() as url, connection.connect(url, name="test") as conn:
        conn.execute("CREATE TABLE kept (n int)")
        yield Wire(conn, STATEMENTS, prepares=request.param)


def ask(wire: Wire, name: str, *given: Any) -> Any:
    with wire:
        answer = wire.ask(name, given)
    assert answer.rows is not None
    return answer.rows


@pytest.mark.parametrize("type", TYPES)
@given(data=st.data())
def test_a_value_comes_back_as_it_was_sent(wire: Wire, type: str, data: st.DataObject) -> None:
    value = data.draw(st.none() | values[type])
    assert ask(wire, type, value) == [(value,)]


@pytest.mark.parametrize("type", TYPES)
@given(data=st.data())
def test_so_does_a_list(wire: Wire, type: str, data: st.DataObject) -> None:
    value = data.draw(st.lists(st.none() | values[type]))
    assert ask(wire, f"{type}s", value) == [(value,)]


@pytest.mark.parametrize("value", [True, False, None])
def test_so_does_a_boolean(wire: Wire, value: bool | None) -> None:
    assert ask(wire, "boolean", value) == [(value,)]


@pytest.mark.parametrize("name", ["text", "texts"])
def test_a_text_is_not_cut_at_a_nul(wire: Wire, name: str) -> None:
    with pytest.raises(psycopg.DataError, match="0x00"):
        ask(wire, name, "a\0b" if name == "text" else ["a\0b"])
    assert ask(wire, "one") == [(1,)]


def test_all_that_was_asked_is_answered_at_once(wire: Wire) -> None:
    with wire:
        rows = wire.ask("two rows", ([1, 2],))
        none = wire.ask("two rows", ([],))
        text = wire.ask("text", ("a",))
        assert (rows.rows, none.rows, text.rows) == (None, None, None)
        wire.sync()
        assert (rows.rows, none.rows, text.rows) == ([(1, 2), (2, 4)], [], [("a",)])
        again = wire.ask("text", ("b",))
    assert again.rows == [("b",)]


def test_what_is_asked_after_an_error_does_nothing(wire: Wire) -> None:
    with wire:
        before = wire.ask("one")
        wire.ask("wrong", (0,))
        after = wire.ask("keep", (1,))
        with pytest.raises(psycopg.errors.DivisionByZero):
            wire.sync()
    assert (before.rows, after.rows) == ([(1,)], None)
    assert ask(wire, "kept") == []
    assert ask(wire, "keep", 2) == []
    assert ask(wire, "kept") == [(2,)], "what was not prepared after the error is prepared now"


def test_a_statement_that_cannot_be_prepared_fails_each_time(wire: Wire) -> None:
    for _ in range(2):
        with pytest.raises(psycopg.errors.UndefinedTable):
            ask(wire, "nowhere")


def test_an_error_of_the_caller_is_not_hidden_by_the_servers(wire: Wire) -> None:
    def ask_and_fail() -> None:
        with wire:
            wire.ask("wrong", (0,))
            raise KeyError

    with pytest.raises(KeyError):
        ask_and_fail()
    assert ask(wire, "one") == [(1,)]


def test_more_than_the_socket_holds_is_sent_and_read(wire: Wire) -> None:
    """Both sides write before they have read."""
    big = [b"x" * 100_000] * 50
    with wire:
        answers = [wire.ask("byteas", (big,)) for _ in range(4)]
    assert all(answer.rows == [(big,)] for answer in answers)


def test_plans_are_dropped_when_the_table_has_doubled_and_only_then() -> None:
    with fresh_database() as url, connection.connect(url, name="test") as conn:
        wire = Wire(conn, STATEMENTS, prepares=True)

        def drops(size: int, *, after: str = "one") -> bool:
            asked: list[int] = []
            with suppress(psycopg.DataError), wire:
                wire.ask(after, () if after == "one" else (0,))
                asked.append(len(wire._asked))
                wire.plan_for(size)
                asked.append(len(wire._asked))
            return asked[1] > asked[0]

        assert [drops(size) for size in (0, 100, 200, 201)] == [False, True, False, True]
        assert drops(1000, after="wrong")
        assert drops(1000), "it was passed over"
        assert not drops(1000, after="wrong")
        assert not drops(1000), "nothing was passed over"
        assert not drops(10)
        assert drops(100), "it had shrunk"


def test_a_lost_connection_is_an_outage() -> None:
    with fresh_database() as url:
        conn = connection.connect(url, name="test")
        wire = Wire(conn, STATEMENTS, prepares=True)
        with wire:
            wire.ask("sleep", (60,))
            with socket.socket(fileno=conn.fileno()) as line:
                line.shutdown(socket.SHUT_RDWR)
                line.detach()
            with pytest.raises(psycopg.OperationalError):
                wire.sync()
        assert conn.closed


def test_a_session_that_the_server_ends_is_an_outage() -> None:
    with fresh_database() as url:
        conn = connection.connect(url, name="test")
        wire = Wire(conn, STATEMENTS, prepares=True)
        with connection.connect(url, name="other") as other:
            other.execute("SELECT pg_terminate_backend($1::int)", [conn.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            ask(wire, "sleep", 60)
        assert conn.closed
