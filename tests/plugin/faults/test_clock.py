"""Clock faults of processes that know nothing of them, by libfaketime."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_fleetq.faults.clock import faketime
from pytest_fleetq.faults.errors import FaultError, FaultHadNoEffect, FaultUnavailable
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.registry import Registry
from tests.plugin.faults.world import TinyFleet, TinyPod, ask, python, running

needs_faketime = pytest.mark.skipif(
    faketime.library() is None, reason="libfaketime, of the extra `clock`, is not installed"
)

# Answers what time it is: wall and monotonic.
TELLER = """
import json, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    one, _ = listener.accept()
    one.recv(50)
    one.sendall(json.dumps([time.time(), time.monotonic()]).ljust(50).encode())
    one.close()
"""


@pytest.fixture
def teller(tmp_path: Path) -> Iterator[TinyFleet]:
    pod = TinyPod(0, tmp_path, python(TELLER), faketime.environment(tmp_path / "pod-0"))
    with running(TinyFleet(tmp_path, [pod])) as fleet:
        yield fleet


def clocks(fleet: TinyFleet) -> tuple[float, float]:
    """How far the pod's wall clock is ahead, and its monotonic one."""
    wall, monotonic = json.loads(ask(fleet.pods[0].address, b"?" * 50))
    return wall - time.time(), monotonic - time.monotonic()


def inject(fleet: TinyFleet, name: str, **settings: object) -> Injection:
    fault = Registry().make(name, **settings)
    return Injection(fault, fleet.pods, record=lambda *_: None).start(fleet)


@needs_faketime
@pytest.mark.parametrize("seconds", [3600.0, -12.5])
def test_the_clock_jumps_there_and_back(teller: TinyFleet, seconds: float) -> None:
    assert clocks(teller) == pytest.approx((0, 0), abs=0.1)
    with inject(teller, "clock_jump", seconds=seconds) as injection:
        assert clocks(teller) == pytest.approx((seconds, 0), abs=0.1)
    assert clocks(teller) == pytest.approx((0, 0), abs=0.1)
    assert "told a false time" in injection.check_effect()


@needs_faketime
def test_the_clock_runs_faster_from_now_on(teller: TinyFleet) -> None:
    with inject(teller, "clock_drift", rate=10.0) as injection:
        began = time.monotonic()
        first, _ = clocks(teller)
        assert -1 < first < 3, "it did not jump"
        second, monotonic = clocks(teller)
        while second < first + 1:
            assert time.monotonic() - began < 5
            second, monotonic = clocks(teller)
        assert second - first <= (time.monotonic() - began) * 10
        assert monotonic == pytest.approx(0, abs=0.1)
    assert clocks(teller)[0] == pytest.approx(0, abs=0.1), "and rate and offset are right again"
    assert injection.check_effect()


@needs_faketime
def test_the_clock_stands_still(teller: TinyFleet) -> None:
    with inject(teller, "clock_freeze") as injection:
        walls = {json.loads(ask(teller.pods[0].address, b"?" * 50))[0] for _ in range(20)}
        assert len(walls) == 1
    assert clocks(teller)[0] == pytest.approx(0, abs=0.1)
    assert injection.check_effect()


@needs_faketime
def test_a_false_time_that_nobody_asked_for_is_no_effect(teller: TinyFleet) -> None:
    clocks(teller)
    injection = inject(teller, "clock_jump")
    injection.heal()
    clocks(teller)
    with pytest.raises(FaultHadNoEffect):
        injection.check_effect()


@needs_faketime
def test_a_pod_started_without_it_cannot_have_clock_faults(fleet: TinyFleet) -> None:
    with pytest.raises(FaultError, match=r"pod-0 does not obey libfaketime: .* clock=True"):
        inject(fleet, "clock_jump")


def test_without_the_extra_the_reason_says_what_to_install(
    fleet: TinyFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faketime, "find_spec", lambda _: None)
    with pytest.raises(FaultUnavailable, match=r"pip install 'pytest-fleetq\[clock\]'"):
        inject(fleet, "clock_jump")
    assert faketime.environment(fleet.directory) == {}
