"""The Node.js example with a real fleet, whose pods are killed meanwhile."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients import node
from tests.cluster.fleet import Pod, Pods, until

WITHIN = 60.0
STEPS = 80


@contextmanager
def running(
    folder: Path, program: str, *arguments: str, address: str
) -> Iterator[subprocess.Popen[str]]:
    with (folder / f"{program}.log").open("a") as log:
        process = subprocess.Popen(
            ["node", str(node.EXAMPLE / program), *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**node.environment(), "FLEET_Q_ADDRESS": address},
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def lines(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    assert process.stdout is not None
    found = [process.stdout.readline() for _ in range(count)]
    return [json.loads(line) for line in found if line]


def start_again(pods: Pods, dead: Pod) -> Pod:
    return pods.start("", listen=dead.address)


def test_every_step_of_node_ends_once_though_pods_are_killed(pods: Pods) -> None:
    node.environment()
    one, other = pods.start_many(2, "")
    both = f"{one.address},{other.address}"
    with running(pods.directory, "worker.js", address=both) as worker:
        arguments = (str(STEPS), '{"seconds": 0.02}')
        with running(pods.directory, "submitter.js", *arguments, address=both) as submitter:
            ends = lines(submitter, 10)
            one.kill()
            ends += lines(submitter, 20)
            start_again(pods, one)
            other.kill()
            ends += lines(submitter, STEPS)
            assert submitter.wait(WITHIN) == 0, (pods.directory / "submitter.js.log").read_text()
        assert sorted(end["value"]["n"] for end in ends) == list(range(STEPS))
        assert {end["state"] for end in ends} == {"STEP_STATE_COMPLETED"}
        assert set(pods.ends().values()) == {1}
        worker.terminate()
        assert worker.wait(WITHIN) == 0


def test_node_stops_a_cancelled_step_and_tells_of_it(pods: Pods) -> None:
    node.environment()
    pod = pods.start("", heartbeat_interval_seconds=0.2)
    with running(pods.directory, "worker.js", address=pod.address):
        arguments = ("1", '{"seconds": 600}')
        with running(pods.directory, "submitter.js", *arguments, address=pod.address) as submitter:
            claimed = pods.await_event("claimed", within=WITHIN)
            pods.client(pod).cancel(claimed.step_ids)
            (end,) = lines(submitter, 1)
            assert submitter.wait(WITHIN) == 1
    assert end["state"] == "STEP_STATE_CANCELLED"


def test_a_killed_node_workers_steps_run_in_another(pods: Pods) -> None:
    node.environment()
    settings = {"heartbeat_interval_seconds": 0.2, "dead_pod_threshold_seconds": 1}
    pod = pods.start("", **settings)
    client = pods.client(pod)
    with running(pods.directory, "worker.js", address=pod.address) as worker:
        step = client.submit_one("work", {"seconds": 0.5})
        until(lambda: pods.events("claimed", step=step), "the step is claimed", WITHIN)
        os.kill(worker.pid, signal.SIGKILL)
    with running(pods.directory, "worker.js", address=pod.address):
        client.wait([step], timeout=WITHIN, strict=True)
    assert pods.step(step).crashes == 1


@pytest.mark.parametrize("program", ["fleet.js", "handlers.js", "worker.js", "submitter.js"])
def test_each_file_is_short_enough_to_be_read(program: str) -> None:
    assert len((node.EXAMPLE / program).read_text().splitlines()) < 150
