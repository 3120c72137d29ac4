"""A pod frozen in the middle of a write holds locks in the server, which must end its session."""

from typing import Any

import psutil
import pytest

from tests.cluster.fleet import Pods, until

QUICK: dict[str, Any] = {"heartbeat_interval_seconds": 0.2, "dead_pod_threshold_seconds": 1.0}


@pytest.mark.parametrize(
    "point", ["store.between_statements=stop@150", "store.before_commit=stop@15"]
)
def test_a_pod_stopped_inside_a_write_does_not_silence_the_others(pods: Pods, point: str) -> None:
    frozen = pods.start(failpoints=point, **QUICK)
    other = pods.start(**QUICK)
    client = pods.client(other, timeout=60)
    steps = client.submit("parse", list(range(200)))
    process = psutil.Process(frozen.pid)
    until(lambda: process.status() == psutil.STATUS_STOPPED, "it stops in the middle of a write")
    steps += client.submit("parse", list(range(50)))
    assert client.wait(steps, timeout=60).completed == 250
    until(lambda: pods.leader() is other, "the other one leads")
