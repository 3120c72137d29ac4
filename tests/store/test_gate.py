"""Processes take turns at writing; whoever dies in its turn holds nobody up."""

import fcntl
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from fleetq_server import failpoints
from fleetq_server.model import Claim, NewStep
from fleetq_server.store.base import ClaimSteps, Submit
from fleetq_server.store.sqlite import SqliteStore
from fleetq_server.store.sqlite.gate import Gate
from tests.store.children import CONTEXT, PATIENCE, Say, child
from tests.store.driver import Driver


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    Driver(url).close()
    return url


def write_flat_out(say: Say, url: str, start: Barrier, total: Any, target: int) -> None:
    """Writes until all together have written `target` times. → how long each write took"""
    driver = Driver(url)
    waits: list[float] = []
    start.wait(PATIENCE)
    while total.value < target:
        began = time.monotonic()
        driver.submit(NewStep("a"))
        waits.append(time.monotonic() - began)
        with total.get_lock():
            total.value += 1
    say(waits)


def race(url: str, writers: int, target: int) -> list[Sequence[float]]:
    start: Any = CONTEXT.Barrier(writers)
    total: Any = CONTEXT.Value("q", 0)
    with ExitStack() as stack:
        args = (url, start, total, target)
        racers = [stack.enter_context(child(write_flat_out, *args)) for _ in range(writers)]
        return [racer.hear() for racer in racers]


def test_nobody_starves_when_all_write_flat_out(url: str) -> None:
    turns = [len(waits) for waits in race(url, writers=4, target=1000)]
    assert min(turns) > max(turns) / 4, f"turns: {turns}"


@pytest.mark.slow
def test_eight_writers_have_equal_shares_and_short_waits(url: str) -> None:
    shares = race(url, writers=8, target=4000)
    waits = sorted(wait for share in shares for wait in share)
    turns = [len(share) for share in shares]
    assert min(turns) >= max(turns) / 2, f"turns: {turns}"
    assert waits[int(len(waits) * 0.99)] <= 0.25
    assert waits[-1] <= 1.0


def write_and_die(say: Say, url: str, place: str) -> None:
    driver = Driver(url)
    failpoints.arm(f"{place}=kill@5")
    while True:
        say(driver.submit(NewStep("a")))


@pytest.mark.parametrize("place", ["store.before_begin", "store.before_commit"])
def test_a_process_that_dies_in_its_turn_lets_the_others_in(url: str, place: str) -> None:
    with ExitStack() as stack:
        victims = [stack.enter_context(child(write_and_die, url, place)) for _ in range(3)]
        acknowledged = [word for victim in victims for word in victim.hear_out()]
    assert len(acknowledged) == 3 * 4
    driver = Driver(url)
    driver.submit(NewStep("a"))
    assert driver.counts.submitted == len(acknowledged) + 1
    driver.assert_sound()
    driver.close()


def write_when_told(say: Say, url: str, go: Any) -> None:
    driver = Driver(url)
    say("ready")
    go.wait(PATIENCE)
    say(driver.submit(NewStep("a")))


def test_a_process_that_dies_while_waiting_lets_the_others_in(url: str, tmp_path: Path) -> None:
    gate, go = Gate(tmp_path / "fleet.db"), CONTEXT.Event()
    with child(write_when_told, url, go) as victim, child(write_when_told, url, go) as survivor:
        assert [victim.hear(), survivor.hear()] == ["ready", "ready"]
        with gate:
            go.set()
            wait_until_taken(tmp_path / "fleet.db.entrance")
            victim.kill()
        assert survivor.hear()
    gate.close()


def test_a_store_says_when_it_waits_for_its_turn_or_for_the_disk(url: str, tmp_path: Path) -> None:
    driver = Driver(url)
    driver.submit(NewStep("a"))
    assert isinstance(driver.store, SqliteStore)
    database = driver.store._db
    said: list[bool] = []
    waiting = Event()

    def meanwhile() -> None:
        said.append(database.in_transaction)
        waiting.set()

    submit = [Submit([NewStep("a")])]
    driver.store.apply(submit, meanwhile=meanwhile)
    assert said == [True], "all that is left is to commit"
    said.clear()
    waiting.clear()
    gate = Gate(tmp_path / "fleet.db")
    with ThreadPoolExecutor(1) as other:
        with gate:
            turn = other.submit(driver.store.apply, submit, meanwhile=meanwhile)
            assert waiting.wait(PATIENCE), "it says so while the gate is held"
        turn.result(PATIENCE)
    assert said == [False, True]
    gate.close()
    driver.close()


class Watching:
    """A standing claim that only remembers what it was told."""

    def __init__(self) -> None:
        self.contended: list[bool] = []

    def wanted(self, contended: bool = False) -> ClaimSteps | None:
        self.contended.append(contended)
        return None

    def granted(self, claims: list[Claim]) -> None: ...

    def deliver(self, claims: list[Claim]) -> None: ...


def test_a_claim_is_told_whether_its_turn_was_waited_for(url: str, tmp_path: Path) -> None:
    driver = Driver(url)
    gate, one, waiting = Gate(tmp_path / "fleet.db"), Watching(), Event()
    driver.store.apply([], [one])
    with ThreadPoolExecutor(1) as other:
        with gate:
            turn = other.submit(driver.store.apply, [], [one], meanwhile=waiting.set)
            assert waiting.wait(PATIENCE)
        turn.result(PATIENCE)
    driver.store.apply([], [one])
    assert one.contended == [False, True, False]
    gate.close()
    driver.close()


def test_a_store_says_when_it_copies_what_was_committed(url: str) -> None:
    driver = Driver(url, checkpoint_bytes=1)
    driver.submit(NewStep("a"))
    said: list[str] = []
    driver.store.maintain(meanwhile=lambda: said.append("waiting"))
    assert said == ["waiting"]
    driver.store.maintain(meanwhile=lambda: said.append("nothing to copy"))
    assert said == ["waiting"]
    driver.close()


def wait_until_taken(path: Path) -> None:
    """Until somebody else holds this lock."""
    handle = os.open(path, os.O_RDWR)
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.sched_yield()
        pytest.fail(f"nobody took {path} in {PATIENCE} s")
    except BlockingIOError:
        return
    finally:
        os.close(handle)
