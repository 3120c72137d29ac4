"""`fleetq conformance` tells workers that keep the protocol from one that does not."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq.conformance.rules import RULES
from tests.clients import node
from tests.cluster.fleet import Pods
from tests.cluster.launch import ROOT, environment

pytestmark = pytest.mark.commands

HERE = Path(__file__).parent
FLEETQ = [sys.executable, "-m", "fleetq_server.cli.main"]
NODE = ["node", str(node.EXAMPLE / "worker.js")]
OURS = [sys.executable, str(HERE / "own_worker.py")]
WRONG = [sys.executable, str(HERE / "wrong_worker.py")]


def conformance(
    pods: Pods, threshold: float, *arguments: str, more: Mapping[str, str]
) -> dict[str, Any]:
    pod = pods.start("", heartbeat_interval_seconds=0.3, dead_pod_threshold_seconds=threshold)
    command = [*FLEETQ, "conformance", pod.address, "--json", *arguments]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=110,
        env={**environment(), "PYTHONPATH": str(ROOT), **more},
    )
    document: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (0 if document["kept"] == document["of"] else 1), ran.stderr
    return document


def broken(document: dict[str, Any]) -> dict[str, str]:
    return {each["rule"]: each["broken"] for each in document["rules"] if not each["kept"]}


# It takes several times dead_pod_threshold_seconds, which has to be long enough for a busy machine.
def test_the_node_example_keeps_every_rule(pods: Pods) -> None:
    found = conformance(pods, 2.5, "--jobs", "12", "--", *NODE, more=node.environment())
    assert not broken(found)
    assert [each["rule"] for each in found["rules"]] == list(RULES)


@pytest.mark.slow
def test_our_own_worker_keeps_every_rule(pods: Pods) -> None:
    assert not broken(conformance(pods, 3, "--", *OURS, more={}))


def test_a_worker_that_breaks_every_rule_is_told_all_of_them(pods: Pods) -> None:
    arguments = ("--patience", "5", "--jobs", "12", "--", *WRONG)
    found = broken(conformance(pods, 1, *arguments, more={}))
    assert set(found) == set(RULES)
    assert found["new-holder"] == "the same after a restart"
    assert found["request-ids"] == "a claim has none"  # not just that nothing was seen of it


def test_a_worker_that_does_not_start_is_told_with_what_it_said(pods: Pods) -> None:
    program = "import sys; sys.exit('no such module')"
    arguments = ("--patience", "1", "--rule", "completes", "--", sys.executable, "-c", program)
    (why,) = broken(conformance(pods, 1, *arguments, more={})).values()
    assert "it ended with 1, and said: no such module" in why


def test_a_command_that_is_not_there_is_said_so(pods: Pods) -> None:
    command = [*FLEETQ, "conformance", pods.start("").address, "--", "no-such-worker"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (2, "fleetq: no-such-worker: no such command\n")


def test_a_fleet_that_is_not_there_is_no_fault_of_the_worker() -> None:
    command = [*FLEETQ, "conformance", "127.0.0.1:1", "--", "true"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 3
    assert "no pod answered" in ran.stderr
