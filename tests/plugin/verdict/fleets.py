"""Real fleets for the tests of what is recorded of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.request import make_request
from pytest_fleetq.cluster.session import Session

ROOT = Path(__file__).parents[3]
WITHIN = 30.0
QUICK = {
    "heartbeat_interval_seconds": 0.1,
    "dead_pod_threshold_seconds": 0.5,
    "claim_interval_seconds": 0.1,
}
Start = Callable[..., Fleet]


@contextmanager
def starting(session: Session) -> Iterator[Start]:
    """A function that starts fleets, of so many pods with these settings; they end with it."""
    fleets: list[Fleet] = []

    def start(n_pods: int, **config: Any) -> Fleet:
        handlers = "tests.integration_handlers"
        request = make_request(n_pods, handlers=handlers, cwd=ROOT, config={**QUICK, **config})
        fleet = Fleet(session, request, timeout=WITHIN)
        fleets.append(fleet)
        fleet.start()
        fleet.follow_journal()
        return fleet

    try:
        yield start
    finally:
        for fleet in fleets:
            fleet.close()
