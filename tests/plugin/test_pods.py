"""What can be done to pods, and how it is known that they are ready."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pytest_fleetq.cluster.errors import BadRequest, ClusterError, NotInTime, PodFailed
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.pod import Pod
from pytest_fleetq.cluster.request import make_request
from pytest_fleetq.cluster.session import Session

ROOT = Path(__file__).parents[2]
WEB = [sys.executable, "-m", "http.server", "{port}", "--bind", "{host}"]
SLEEP = ["sleep", "1000"]


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    session = Session(None, [ROOT])
    yield session
    session.close()


@pytest.fixture
def start(session: Session) -> Iterator[object]:
    fleets: list[Fleet] = []

    def go(n_pods: int, **arguments: object) -> Fleet:
        fleet = Fleet(session, make_request(n_pods, **arguments), timeout=20)
        fleets.append(fleet)
        fleet.start()
        return fleet

    yield go
    for fleet in fleets:
        fleet.close()


def test_a_killed_pod_starts_again_on_its_old_port(start) -> None:
    fleet = start(2, handlers="tests.integration_handlers", cwd=ROOT)
    pod = fleet.pods[0]
    before = (pod.pid, pod.port)
    pod.kill()
    assert (pod.alive, pod.status) == (False, -signal.SIGKILL)
    pod.start()
    assert pod.port == before[1]
    assert pod.pid != before[0]
    steps = fleet.client_of(pod).submit("work", [{"n": 1}])
    assert fleet.client_of(pod).wait(steps, timeout=10).ok


def test_one_may_kill_what_others_start_again(start) -> None:
    pod = start(1, command=SLEEP).pods[0]
    over = threading.Event()

    def keep_it_up() -> None:
        while not over.is_set():
            with suppress(PodFailed):  # killed while it started
                pod.start()

    with ThreadPoolExecutor() as pool:
        keepers = [pool.submit(keep_it_up) for _ in range(2)]
        try:
            for end in (pod.kill, pod.stop) * 25:
                end()
        finally:
            over.set()
        assert [keeper.exception() for keeper in keepers] == [None, None]
    pod.kill()
    assert (pod.alive, pod.status) == (False, -signal.SIGKILL)


def test_a_stopped_pod_ends_in_good_order(start) -> None:
    pod = start(1, handlers="tests.integration_handlers", cwd=ROOT).pods[0]
    pod.stop()
    assert pod.status == 0, pod.log_tail()
    assert '"stopped"' in pod.log_tail()


def test_a_paused_pod_is_stopped_until_resumed(start) -> None:
    pod = start(1, command=SLEEP).pods[0]
    pod.pause()
    assert psutil.Process(pod.pid).status() == psutil.STATUS_STOPPED
    assert pod.alive
    pod.resume()
    pod.stop()
    assert pod.status == -signal.SIGTERM


def test_killing_a_pod_kills_what_it_started_in_sessions_of_their_own(start) -> None:
    script = "setsid sleep 1000 & echo $! > {dir}/child; exec sleep 1000"

    def has_child(pod: Pod) -> bool:
        return (pod.directory / "child").read_text().endswith("\n")

    pod = start(1, command=["sh", "-c", script], ready=has_child).pods[0]
    child = psutil.Process(int((pod.directory / "child").read_text()))
    pod.kill()
    gone, _ = psutil.wait_procs([child], timeout=5)
    assert gone


def test_pods_come_and_go(start) -> None:
    fleet = start(1, handlers="tests.integration_handlers", cwd=ROOT)
    first = fleet.pods[0]
    second = fleet.add_pod()
    assert (second.name, len(fleet.client.addresses)) == ("pod-1", 2)
    fleet.remove_pod(first)
    assert fleet.pods == (second,)
    assert fleet.leader is second


@pytest.mark.parametrize(
    "ready", ["tcp", "http://{self}/", "log:Serving HTTP", lambda pod: "Serving" in pod.log_tail()]
)
def test_readiness_can_be_told_in_many_ways(start, ready) -> None:
    command = [WEB[0], "-u", *WEB[1:]]
    assert all(pod.alive for pod in start(2, command=command, ready=ready).pods)


def test_a_grpc_server_is_ready_when_its_health_says_so(start) -> None:
    own = [sys.executable, "-m", "fleetq_server.cli.main", "serve", "--listen", "{self}"]
    fleet = start(2, command=[*own, "--store", "sqlite:///{store}/fleet.db"], ready="grpc")
    stub = fleet.channel(fleet.pods[1]).unary_unary("/grpc.health.v1.Health/Check")
    assert stub(b"", timeout=5) == b"\x08\x01"


def test_placeholders_are_filled_in_commands_and_environment(start) -> None:
    fleet = start(
        2,
        command=[
            "sh",
            "-c",
            "echo {index} {name} {port} {self} {peers} {dir} $STORE {other}; exec sleep 100",
        ],
        env={"STORE": "{store}"},
        ready="log:pod",
        links=False,
    )
    first, second = fleet.pods
    wanted = (
        f"0 pod-0 {first.port} 127.0.0.1:{first.port} 127.0.0.1:{second.port} "
        f"{first.directory} {fleet.store} {{other}}"
    )
    assert first.log.read_text().strip() == wanted


def test_with_links_every_direction_has_a_proxy_of_its_own(start) -> None:
    fleet = start(3, command=[*WEB, "--directory", "{dir}"], env={"PEERS": "{peers}"})
    names = ("client", *(pod.name for pod in fleet.pods))
    assert set(fleet.links.edges()) == {
        (source, pod.name) for pod in fleet.pods for source in names if source != pod.name
    }
    assert len({fleet.pods[0].address, *fleet.plan(fleet.pods[1]).peers.values()}) == 3


def connected_to() -> set[int]:
    """The ports that this process has connections to."""
    found = psutil.Process().net_connections("tcp")
    return {one.raddr.port for one in found if one.raddr and one.status == psutil.CONN_ESTABLISHED}


def test_without_links_clients_go_straight_to_the_pod(start) -> None:
    fleet = start(1, handlers="tests.integration_handlers", cwd=ROOT)
    fleet.client.stats()
    assert fleet.pods[0].address == f"127.0.0.1:{fleet.pods[0].port}"
    assert fleet.pods[0].port in connected_to()
    with pytest.raises(ClusterError, match="links=True"):
        _ = fleet.links


def test_with_links_clients_go_through_a_proxy(start) -> None:
    fleet = start(1, handlers="tests.integration_handlers", cwd=ROOT, links=True)
    fleet.client.stats()
    [pod] = fleet.pods
    proxy = int(pod.address.rpartition(":")[2])
    assert connected_to() & {proxy, pod.port} == {proxy}
    assert fleet.links.hits(("client", pod.name))["connections"] == 1


def test_a_pod_that_ends_is_told_at_once_to_whoever_waits(start) -> None:
    fleet = start(1, command=SLEEP)
    os.kill(fleet.pods[0].pid, signal.SIGKILL)
    begun = time.monotonic()
    with pytest.raises(PodFailed, match="pod-0 was ended by signal 9 SIGKILL"):
        fleet.wait_until(lambda: False, timeout=30)
    assert time.monotonic() - begun < 10


def test_waiting_says_what_it_saw(start) -> None:
    fleet = start(1, command=SLEEP)
    with pytest.raises(NotInTime, match=r"not within 0.05 s: rain; last seen: \[\]"):
        fleet.wait_until(list, timeout=0.05, what="rain")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"n_pods": 0}, "n_pods=0 must be from 1"),
        ({"n_pods": 1, "command": "./server"}, "give a list"),
        ({"n_pods": 1, "command": SLEEP, "handlers": "x"}, "handlers= are for FLEET-Q pods"),
        ({"n_pods": 1, "command": SLEEP, "ready": "soon"}, "ready='soon': there is grpc, tcp"),
        ({"n_pods": 1, "launcher": "ship"}, "launcher='ship': there is no plugin"),
        ({"n_pods": 1, "store": "papyrus"}, "store='papyrus': there is sqlite"),
    ],
)
def test_requests_that_make_no_sense_say_so(start, arguments, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem):
        start(arguments.pop("n_pods"), **arguments)


def test_ports_are_nobody_elses_while_claimed(session: Session) -> None:
    others = Session(None)
    try:
        mine = {session.ports.claim() for _ in range(50)}
        # A process's own locks do not keep it out: so the other one must be another process.
        pid = os.fork()
        if pid == 0:
            theirs = {others.ports.claim() for _ in range(50)}
            os._exit(1 if theirs & mine else 0)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        for port in mine:
            session.ports.give_back(port)
        others.close()


def test_three_pods_are_ready_and_gone_in_a_moment(start, record_property) -> None:
    start(1, handlers="tests.integration_handlers", cwd=ROOT)  # the fork server is up by now
    begun = time.monotonic()
    fleet = start(3, handlers="tests.integration_handlers", cwd=ROOT)
    ready = time.monotonic()
    fleet.close()
    ended = time.monotonic()
    record_property("ready_ms", round((ready - begun) * 1000))
    record_property("teardown_ms", round((ended - ready) * 1000))
    print(f"ready {ready - begun:.3f} s, teardown {ended - ready:.3f} s")
    assert ready - begun < 2
    assert ended - ready < 2
