"""Whether anybody can submit past the history."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetq_server.client import Client
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.request import make_request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.judging import judge_fleet
from pytest_fleetq.strangers import strangers
from pytest_fleetq.verdict import DEFAULT_CHECKERS, History
from tests.plugin.verdict.fleets import WITHIN, Start

PLAIN = "import asyncio\nfrom fleetq_server import handler\n"


@pytest.fixture
def prepared(session: Session, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """A fleet that is not started: it is known by its request."""
    made: list[Fleet] = []

    def prepare(source: str = "", **arguments: object) -> Fleet:
        if source:
            (tmp_path / "mine.py").write_text(source)
            arguments["handlers"] = "mine"
        made.append(Fleet(session, make_request(1, cwd=tmp_path, **arguments)))
        return made[-1]

    yield prepare
    for fleet in made:
        fleet.close()


def test_handlers_that_call_no_pod(prepared: Callable[..., Fleet], tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import mine, json")
    assert strangers(prepared(PLAIN + "import helper")) == []


@pytest.mark.parametrize(
    "line",
    [
        "from fleetq_server.client import Client",
        "import fleetq_server.client as fleet",
        "from fleetq_server import client",
        "from fleetq_server.pb import step_service_pb2_grpc",
        "from helper import submit_more",
        "import deep.helper",
    ],
)
def test_handlers_that_may_submit(
    prepared: Callable[..., Fleet], tmp_path: Path, line: str
) -> None:
    (tmp_path / "helper.py").write_text("def f():\n    from fleetq_server.client import Client")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "helper.py").write_text("import helper")
    assert strangers(prepared(PLAIN + line)) == ["handlers mine"]


def test_handlers_whose_source_is_nowhere_may_do_anything(prepared: Callable[..., Fleet]) -> None:
    fleet = prepared(handlers="nowhere.to.be.found")
    assert strangers(fleet) == ["handlers nowhere.to.be.found"]


def test_who_was_told_where_the_pods_are(start: Start) -> None:
    fleet = start(1)
    assert strangers(fleet) == []
    assert fleet.client.addresses
    assert strangers(fleet) == [], "its own client is recorded"
    assert fleet.pods[0].address
    assert fleet.addresses
    assert fleet.store
    fleet.channel()
    found = ["fleet.addresses", "fleet.channel", "fleet.store", "pod-0.address"]
    assert strangers(fleet) == found
    judge_fleet(fleet, DEFAULT_CHECKERS)
    assert History.load(fleet.history.path).unrecorded == found


def test_others_that_the_test_tells_of(prepared: Callable[..., Fleet]) -> None:
    assert strangers(prepared(other_clients=True)) == ["cluster(other_clients=True)"]
    assert strangers(prepared(store="postgresql://elsewhere/fleet")) == ["whoever uses that store"]


def test_a_client_of_the_tests_own_is_no_reason_to_blame_the_fleet(start: Start) -> None:
    fleet = start(1)
    fleet.client.wait(fleet.client.submit("work", [{"n": 1}]), timeout=WITHIN)
    with Client(fleet.addresses) as client:
        client.wait(client.submit("work", [{"n": 2}]), timeout=WITHIN)
    verdict = judge_fleet(fleet, DEFAULT_CHECKERS)
    assert verdict.verdict == "pass", verdict.describe()
