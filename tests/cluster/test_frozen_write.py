"""A pod frozen in the middle of a write holds the gate and SQLite's write lock."""

import signal
from typing import Any

import pytest

from tests.cluster.fleet import Pods

QUICK: dict[str, Any] = {"heartbeat_interval_seconds": 0.2, "dead_pod_threshold_seconds": 1.0}


@pytest.mark.parametrize(
    "point",
    [
        "store.before_begin=stop@15",
        "store.between_statements=stop@150",
        "store.before_commit=stop@15",
    ],
)
def test_a_pod_stopped_inside_a_write_does_not_silence_the_others(pods: Pods, point: str) -> None:
    frozen = pods.start(failpoints=point, **QUICK)
    other = pods.start(**QUICK)
    client = pods.client(other)
    steps = client.submit("parse", list(range(200)))

    assert client.wait(steps, timeout=60).completed == 200
    assert frozen.exit_status() == -signal.SIGKILL
    assert other.said("killed a process that was stopped in the middle of a write")
    assert pods.leader() is other
