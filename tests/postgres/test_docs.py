"""docs/postgresql.md does what it shows, over a database of its own."""

import shlex
from pathlib import Path

import psycopg
import pytest

from fleetq_server.bench.postgres.figures import BENCHES
from tests.docs.pages import Block, blocks, text_of, with_free_ports
from tests.docs.shell import Shell, prompt

PAGE = "postgresql.md"
SHOWN_URL = "postgresql://fleetq@db.example/fleet"


@pytest.mark.pages
def test_what_the_page_shows_is_so(tmp_path: Path, url: str) -> None:
    mine = shlex.quote(url)
    page = [Block(one.language, one.text.replace(SHOWN_URL, mine)) for one in with_free_ports(PAGE)]
    with prompt() as fleetq, Shell(fleetq, tmp_path) as shell:
        shell.follow(page)


def test_its_query_finds_a_transaction_that_was_left_open(url: str) -> None:
    (query,) = [block.text for block in blocks(PAGE) if block.language == "sql"]
    with psycopg.connect(url) as forgotten, psycopg.connect(url) as looking:
        forgotten.execute("SELECT 1")
        found = looking.execute(query.replace("5 minutes", "0")).fetchall()
        assert forgotten.info.backend_pid in [pid for pid, *_ in found]


def test_no_command_of_it_is_left_out_and_its_benchmarks_are_those_there_are() -> None:
    assert {block.language for block in blocks(PAGE)} == {"python", "sh", "text", "sql"}
    names = [f"`{name}`" for name in BENCHES]
    assert f"There are {', '.join(names[:-1])} and {names[-1]}." in text_of(PAGE)
