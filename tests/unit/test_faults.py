"""Orders in a pod's control file: clock and failpoints."""

import json
from pathlib import Path

import pytest

from fleetq_server.clock import ManualClock
from fleetq_server.faults import ControlFile, FaultyClock


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


def test_a_change_is_seen_once(control: Path) -> None:
    file = ControlFile(control)
    assert file.read() == ({}, False)
    order(control, failpoints="pod.ready=exit")
    assert file.read() == ({"failpoints": "pod.ready=exit"}, True)
    assert file.read() == ({"failpoints": "pod.ready=exit"}, False)
