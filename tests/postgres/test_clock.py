"""What is due is due by the server's clock, whatever the pod's own says."""

import pytest

from fleetq_server.clock import ManualClock
from fleetq_server.model import NewStep
from fleetq_server.store.base import Submit
from tests.store.driver import Driver


def test_a_pod_whose_clock_was_set_waits_as_long_as_before(url: str) -> None:
    clock = ManualClock()
    fleet = Driver(url, clock=clock)
    fleet.store.apply([Submit([NewStep("a", run_at=4_000_000_000.0)])])

    def left() -> float:
        due = fleet.store.next_due()
        assert due is not None
        return due - clock.now()

    before = left()
    assert before > 1_000_000_000
    for seconds in (3600.0, -7200.0):
        clock.jump(seconds)
        # By what was known before the clock was set, an hour of looking without a pause.
        assert left() == pytest.approx(before, abs=60)
    fleet.close()
