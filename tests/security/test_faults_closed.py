"""A pod that was not started to fail cannot be made to: not through its environment, not by a file
that lies where it starts, not over the network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from fleetq_server.config import load_settings
from fleetq_server.errors import ConfigError
from fleetq_server.failpoints import NAMES
from tests.cluster.fleet import Pods
from tests.security.calls import BOUND, MODULES, RPCS, answer, empty

ALL_OF_THEM = ",".join(f"{name}=kill" for name in sorted(NAMES))
ORDERS = json.dumps({"failpoints": ALL_OF_THEM, "clock_jump": 1000.0, "eio": True})


@pytest.mark.parametrize("name", ["failpoints", "faults"])
def test_what_makes_a_pod_fail_is_a_flag_only(tmp_path: Path, name: str) -> None:
    variable = f"FLEET_Q_{name.upper()}"
    settings = load_settings({}, environ={variable: ALL_OF_THEM}, cwd=tmp_path)
    assert getattr(settings, name) == ""
    assert settings.warnings == (
        f"environment {variable} is ignored: a pod fails on purpose by --{name} only",
    )
    (tmp_path / "fleetq.toml").write_text(f'{name} = "{ALL_OF_THEM}"')
    with pytest.raises(ConfigError, match=f"file fleetq.toml: {name} is a flag only, --{name}"):
        load_settings({}, environ={}, cwd=tmp_path)
    (tmp_path / "fleetq.toml").unlink()
    given = load_settings({name: ALL_OF_THEM}, environ={}, cwd=tmp_path)
    assert getattr(given, name) == ALL_OF_THEM


def test_the_environment_arms_nothing(tmp_path: Path) -> None:
    orders = tmp_path / "orders.json"
    orders.write_text(ORDERS)
    armed = {"FLEET_Q_FAILPOINTS": ALL_OF_THEM, "FLEET_Q_FAULTS": str(orders)}
    command = [sys.executable, "-m", "fleetq_server.cli.main", "serve", "--log-format", "json"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, **armed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.terminate()
        _, log = process.communicate(timeout=BOUND)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert log.count("is ignored: a pod fails on purpose") == 2
    assert not orders.with_name("orders.json.hits").exists()


def test_a_running_pod_obeys_no_orders_that_are_sent_to_it(pods: Pods) -> None:
    orders = pods.directory / "orders.json"
    orders.write_text(ORDERS)
    pod = pods.start(heartbeat_interval_seconds=0.1)
    names = ("failpoints", "fleet_q_failpoints", "fleetq-failpoints")
    told = [(name, ALL_OF_THEM) for name in names]
    told += [(name.replace("failpoints", "faults"), str(orders)) for name in names]
    with grpc.insecure_channel(pod.address) as channel:
        met = {answer(channel, method, empty(method), *told) for method in RPCS}
    assert met <= {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    client = pods.client(pod)
    note = client.submit_one("note", pods.payload(**dict(told)), metadata=dict(told))
    assert client.wait([note], timeout=BOUND).ok
    pods.await_beats(pod, 2)
    assert pod.alive
    assert not orders.with_name("orders.json.hits").exists()


def test_no_rpc_is_for_failing() -> None:
    """Whoever adds one is to think of who may call it, and to read this."""
    words = ("fault", "failpoint", "inject", "crash", "chaos")
    for module in MODULES:
        for message in module.DESCRIPTOR.message_types_by_name:
            assert not any(word in message.lower() for word in words), message
    for method in RPCS:
        assert not any(word in method.lower() for word in words), method
