"""Orders in a pod's control file: clock and failpoints."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetq_server import failpoints
from fleetq_server.clock import ManualClock
from fleetq_server.faults import ControlFile, FaultyClock, obey_failpoints


@pytest.fixture
def control(tmp_path: Path) -> Path:
    return tmp_path / "faults.json"


def order(control: Path, **orders: object) -> None:
    new = control.with_suffix(".new")  # replaced whole, so that no half of it is ever read
    new.write_text(json.dumps(orders))
    new.replace(control)


def test_without_orders_the_clock_tells_the_truth(control: Path) -> None:
    true = ManualClock()
    clock = FaultyClock(true, control)
    true.advance(5)
    assert (clock.now(), clock.monotonic()) == (true.now(), true.monotonic())


@pytest.mark.parametrize(
    ("orders", "ahead"),
    [
        ({"clock_jump": 60}, 60),
        ({"clock_jump": -3600}, -3600),
        ({"clock_rate": 2}, 10),
        ({"clock_freeze": True}, -10),
        ({"clock_freeze": True, "clock_jump": 60}, 50),
    ],
)
def test_wall_time_obeys_and_monotonic_time_does_not(
    control: Path, orders: dict[str, float], ahead: float
) -> None:
    true = ManualClock()
    clock = FaultyClock(true, control)
    order(control, **orders)
    clock.now()
    true.advance(10)
    assert clock.now() - true.now() == pytest.approx(ahead)
    assert clock.monotonic() == true.monotonic()


def test_an_empty_object_or_no_file_heals(control: Path) -> None:
    true = ManualClock()
    clock = FaultyClock(true, control)
    order(control, clock_jump=60)
    assert clock.now() == true.now() + 60
    order(control)
    assert clock.now() == true.now()
    order(control, clock_jump=60)
    assert clock.now() == true.now() + 60
    control.unlink()
    assert clock.now() == true.now()


def test_an_unrelated_order_does_not_disturb_a_wrong_clock(control: Path) -> None:
    true = ManualClock()
    clock = FaultyClock(true, control)
    order(control, clock_rate=2)
    clock.now()
    true.advance(10)
    order(control, clock_rate=2, slow_sync=0.1)
    assert clock.now() - true.now() == pytest.approx(10)


def test_a_clock_that_drifts_keeps_what_it_gained_when_it_jumps_too(control: Path) -> None:
    true = ManualClock()
    clock = FaultyClock(true, control)
    order(control, clock_rate=2)
    clock.now()
    true.advance(10)
    order(control, clock_rate=2, clock_jump=60)
    assert clock.now() - true.now() == pytest.approx(70)
    order(control, clock_rate=2, clock_freeze=True)
    frozen = clock.now()
    true.advance(10)
    assert clock.now() == frozen == pytest.approx(true.now())


def test_the_same_order_by_somebody_else_begins_anew(control: Path) -> None:
    true = ManualClock()
    clock = FaultyClock(true, control)
    for who in ("one", "two"):
        order(control, clock_rate=2, injections={who: {"clock_rate": 2}})
        assert clock.now() == true.now()
        true.advance(10)
        assert clock.now() == true.now() + 10


def test_what_took_effect_is_counted(control: Path) -> None:
    clock = FaultyClock(ManualClock(), control)
    clock.now()
    assert not hits(control).exists()
    order(control, clock_jump=5, clock_freeze=True)
    clock.now()
    assert json.loads(hits(control).read_text()) == {"clock_jump": 1, "clock_freeze": 1}


def test_unreadable_orders_are_none(control: Path) -> None:
    control.write_text("{")
    assert ControlFile(control).read() == {}


async def test_failpoints_follow_the_file_and_are_counted(control: Path) -> None:
    obeying = asyncio.create_task(obey_failpoints(control, ""))
    try:
        order(control, failpoints="pod.ready=raise")
        await until(lambda: raises("pod.ready"))
        assert json.loads(hits(control).read_text())["failpoint:pod.ready"] >= 1
        order(control, failpoints="nonsense")
        await until(lambda: "failpoints_refused" in hits(control).read_text())
        assert not raises("pod.ready")
    finally:
        obeying.cancel()


def hits(control: Path) -> Path:
    return control.with_name(control.name + ".hits")


def raises(name: str) -> bool:
    try:
        failpoints.hit(name)
    except OSError:
        return True
    return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)
