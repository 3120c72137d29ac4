"""SQLite on a disk that fails, fills up, dawdles or loses its power."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from fleetq_server.errors import StoreUnavailable
from fleetq_server.model import HolderKey, NewStep, Result, StepId, StepState, Verdict
from fleetq_server.store.sqlite import faultvfs
from fleetq_server.store.sqlite.faultvfs import Orders, give_orders, lose_power, read_hits
from tests.store.children import Say, child
from tests.store.driver import Driver

FAULTS: dict[str, dict[str, float]] = {
    "write_error": {"write_error": True},
    "sync_error": {"sync_error": True},
    "disk_full": {"disk_full": 100_000},
}
each_fault = pytest.mark.parametrize("fault", FAULTS)
BIG = NewStep("a", payload=b"x" * 20_000)


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "orders.json"


@pytest.fixture
def disk(tmp_path: Path, control: Path) -> Iterator[Driver]:
    driver = Driver(f"sqlite:///{tmp_path / 'fleet.db'}", faults=str(control))
    yield driver
    give_orders(control)
    driver.close()


def submit_until_refused(driver: Driver) -> list[StepId]:
    """→ what was acknowledged before the disk failed."""
    acknowledged: list[StepId] = []
    for _ in range(50):
        try:
            acknowledged += driver.submit(BIG)
        except StoreUnavailable:
            return acknowledged
    pytest.fail(f"the disk never failed; it took {len(acknowledged)} steps")


@each_fault
def test_a_failing_disk_refuses_and_loses_nothing(disk: Driver, control: Path, fault: str) -> None:
    acknowledged = disk.submit(BIG, BIG)
    give_orders(control, **FAULTS[fault])
    acknowledged += submit_until_refused(disk)
    with pytest.raises(StoreUnavailable, match="try again"):
        disk.submit(BIG)
    assert read_hits(control)[fault] >= 2
    assert disk.reader.unknown(acknowledged) == [], "what is there can be read all the same"
    assert disk.counts.submitted == len(acknowledged)

    give_orders(control)
    acknowledged += disk.submit(BIG)
    disk.assert_sound()
    disk.close()
    again = Driver(disk.url)
    again.assert_sound()
    assert again.reader.unknown(acknowledged) == []
    assert again.counts.submitted == len(acknowledged)
    again.close()


@each_fault
def test_a_write_that_failed_may_be_repeated(disk: Driver, control: Path, fault: str) -> None:
    pod = disk.join("pod")
    (step_id,) = disk.submit(NewStep("a"))
    claim = disk.claim_one(pod)
    give_orders(control, **FAULTS[fault])
    submit_until_refused(disk)
    with pytest.raises(StoreUnavailable):
        disk.complete(claim, result=b"x" * 200_000)
    assert disk.state(step_id) is StepState.CLAIMED
    give_orders(control)
    assert disk.complete(claim, result=b"done") == [Verdict.OK]
    assert disk.step(step_id).result == Result(b"done", False)
    disk.assert_sound()


@each_fault
def test_a_checkpoint_that_failed_is_made_up_for(tmp_path: Path, control: Path, fault: str) -> None:
    path = tmp_path / "fleet.db"
    driver = Driver(f"sqlite:///{path}", faults=str(control), checkpoint_bytes=1)
    acknowledged = driver.submit(*[BIG] * 10)
    give_orders(control, **FAULTS[fault])
    with pytest.raises(StoreUnavailable):
        driver.store.maintain()
    assert driver.reader.unknown(acknowledged) == []
    give_orders(control)
    before = path.stat().st_size
    driver.store.maintain()
    assert path.stat().st_size > before
    driver.assert_sound()
    driver.close()


@each_fault
def test_a_store_that_cannot_be_created_says_so(tmp_path: Path, control: Path, fault: str) -> None:
    give_orders(control, **{name: value and 1 for name, value in FAULTS[fault].items()})
    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    with pytest.raises(StoreUnavailable):
        Driver(url, faults=str(control))
    give_orders(control)
    driver = Driver(url, faults=str(control))
    driver.submit(NewStep("a"))
    driver.assert_sound()
    driver.close()


def test_a_slow_disk_is_only_slow(disk: Driver, control: Path) -> None:
    give_orders(control, slow_sync=0.05)
    started = time.monotonic()
    (step_id,) = disk.submit(NewStep("a"))
    assert time.monotonic() - started >= 0.05
    assert read_hits(control) == {"slow_sync": 1}
    assert disk.state(step_id) is StepState.PENDING


def order(control: Path, **injections: dict[str, float]) -> None:
    total = {name: value for given in injections.values() for name, value in given.items()}
    new = control.with_suffix(".new")
    new.write_text(json.dumps({**total, "injections": injections}))
    new.replace(control)


def test_an_unrelated_order_makes_no_new_room_and_a_new_one_does(control: Path) -> None:
    order(control, one={"disk_full": 100})
    orders = Orders(control)
    orders.before_write(80)
    order(control, one={"disk_full": 100}, two={"slow_sync": 0.01})
    with pytest.raises(apsw.FullError):
        orders.before_write(80)
    order(control, three={"disk_full": 100})
    orders.before_write(80)


def operate(say: Say, control: str) -> None:
    order(Path(control), one={"power_loss": 3})
    orders = Orders(Path(control))
    for number in range(5):
        orders.before_operation()
        say(number)
        order(Path(control), one={"power_loss": 3}, two={"slow_sync": float(number)})


def test_an_unrelated_order_does_not_put_a_power_loss_off(control: Path) -> None:
    with child(operate, str(control)) as victim:
        assert victim.hear_out() == [0, 1]


def test_a_fault_is_known_by_name(control: Path) -> None:
    with pytest.raises(ValueError, match="write_eror"):
        give_orders(control, write_eror=True)


def submit_and_tell(say: Say, url: str, control: str) -> None:
    driver = Driver(url, faults=control)
    while True:
        try:
            say(driver.submit(NewStep("a")))
        except StoreUnavailable:
            say("unavailable")


def test_another_process_obeys_the_orders_at_once(disk: Driver, control: Path) -> None:
    with child(submit_and_tell, disk.url, str(control)) as other:
        assert other.hear() != "unavailable"
        give_orders(control, write_error=True)
        hear_until(other.hear, lambda word: word == "unavailable")
        give_orders(control)
        hear_until(other.hear, lambda word: word != "unavailable")
        other.kill()
        acknowledged = [word[0] for word in other.hear_out() if word != "unavailable"]
    assert disk.reader.unknown(acknowledged) == []


def hear_until(hear: Callable[[], Any], wanted: Callable[[Any], bool]) -> None:
    for _ in range(100_000):
        if wanted(hear()):
            return
    pytest.fail("it never came")


# --- power loss ---


def work(say: Say, url: str, control: str, seed: int, name: str) -> None:
    """Everything that writes, in a random order, acknowledged word by word."""
    rng = Random(seed)
    driver = Driver(url, seed=seed, faults=control, checkpoint_bytes=200_000)
    me: HolderKey = driver.join(name)
    for _ in range(rng.randint(60, 90)):
        if rng.random() < 0.6:
            say(
                (
                    StepState.PENDING,
                    driver.submit(*[NewStep("a", rng.randbytes(5000))] * rng.randint(1, 5)),
                )
            )
        else:
            claims = driver.claim(me, rng.randint(1, 5))
            say((StepState.CLAIMED, [claim.step_id for claim in claims]))
            driver.complete(*claims, result=b"result")
            say((StepState.COMPLETED, [claim.step_id for claim in claims]))
        if rng.random() < 0.2:
            driver.store.maintain()
    driver.close()
    say("closed")


def assert_kept(driver: Driver, words: list[Any]) -> None:
    """Every acknowledged step is at least as far as was acknowledged."""
    order = [StepState.PENDING, StepState.CLAIMED, StepState.COMPLETED]
    reached: dict[StepId, int] = {}
    for state, step_ids in (word for word in words if word != "closed"):
        for step_id in step_ids:
            reached[step_id] = max(reached.get(step_id, 0), order.index(state))
    for step_id, least in reached.items():
        step = driver.step(step_id)
        assert order.index(step.state) >= least
        assert (step.result is not None) == (step.state is StepState.COMPLETED)


def check_power_loss(directory: Path, seed: int) -> tuple[int, int]:
    """→ how many words were acknowledged, and how many writes were lost."""
    directory.mkdir()
    rng = Random(seed)
    control, path = directory / "orders.json", directory / "fleet.db"
    give_orders(control, power_loss=rng.randint(1, 900))
    url = f"sqlite:///{path}"
    words: list[Any] = []
    with (
        child(work, url, str(control), seed, "x") as one,
        child(work, url, str(control), -seed, "y") as two,
    ):
        words += one.hear_out()
        if rng.random() < 0.5:
            two.kill()
        words += two.hear_out()
    lost = lose_power(path, rng if rng.random() < 0.8 else None)
    driver = Driver(url)
    driver.assert_sound()
    assert_kept(driver, words)
    driver.submit(NewStep("afterwards"))
    driver.assert_sound()
    driver.close()
    db = apsw.Connection(str(path))
    assert db.pragma("integrity_check") == "ok"
    db.close()
    return len(words), lost


def test_power_lost_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    seen = [check_power_loss(tmp_path / str(seed), seed) for seed in range(30)]
    assert sum(words > 0 for words, _ in seen) > 20
    assert sum(lost > 0 for _, lost in seen) > 10, "the power went while nothing was under way"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_power_lost_at_any_of_very_many_moments(tmp_path: Path) -> None:
    for seed in range(1000, 1200):
        check_power_loss(tmp_path / str(seed), seed)


def write_without_syncing(say: Say, path: str, control: str, synchronous: str) -> None:
    db = apsw.Connection(path, vfs=faultvfs.install(Path(control)))
    db.pragma("journal_mode", "wal")
    db.pragma("wal_autocheckpoint", 0)
    db.execute("CREATE TABLE t (n)")
    db.pragma("synchronous", synchronous)
    db.execute("INSERT INTO t VALUES (1)")
    say("acknowledged")
    give_orders(Path(control), power_loss=1)
    db.execute("INSERT INTO t VALUES (2)")


@pytest.mark.parametrize(("synchronous", "kept"), [("full", [(1,)]), ("normal", [])])
def test_a_write_that_was_never_synced_is_what_gets_lost(
    tmp_path: Path, control: Path, synchronous: str, kept: list[tuple[int]]
) -> None:
    """The proof that the power losses above would have found a missing sync."""
    path = tmp_path / "t.db"
    with child(write_without_syncing, str(path), str(control), synchronous) as victim:
        assert victim.hear_out() == ["acknowledged"]
    assert read_hits(control) == {"power_loss": 1}
    assert (lose_power(path) > 0) == (not kept)
    db = apsw.Connection(str(path))
    assert db.execute("SELECT n FROM t").fetchall() == kept
    db.close()


def test_power_can_be_lost_from_outside(tmp_path: Path, control: Path) -> None:
    path = tmp_path / "t.db"
    with child(write_without_syncing, str(path), str(control), "normal") as victim:
        victim.hear_out()
    command = [sys.executable, "-m", "fleetq_server.cli.losepower", str(path), "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["lost"] > 0
    again = subprocess.run(command[:-2], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout) == {"lost": 0}
    refused = subprocess.run([*command[:3], "/no/such.db"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "/no/such.db" in refused.stderr
