"""Synchronous clients of one process share an event loop, and nothing else."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fleetq_server.client import Client
from fleetq_server.errors import Unavailable
from tests.cluster.fleet import Pod, Pods, until
from tests.cluster.launch import ROOT, environment


@pytest.fixture
def pod(pods: Pods) -> Pod:
    return pods.start("")


def loops() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fleetq"]


def submits(client: Client, count: int) -> Callable[[], list[str]]:
    return lambda: [client.submit_one("nobody") for _ in range(count)]


def test_clients_at_work_at_once_share_a_loop_without_a_word(
    pod: Pod, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of several loops would log that it was woken for nothing."""
    with Client(pod.address) as first:
        before = loops()
        clients = [first, *(Client(pod.address) for _ in range(5))]
        with ThreadPoolExecutor(6) as threads:
            done = [threads.submit(submits(client, 100)) for client in clients]
            steps = [step for each in done for step in each.result(30)]
        assert len(set(steps)) == 600
        assert loops() == before
        for client in clients[1:]:
            client.close()
        assert loops() == before
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_client_that_is_closed_ends_its_own_calls_and_nobody_elses(pod: Pod) -> None:
    with Client(pod.address) as stays, ThreadPoolExecutor(2) as threads:
        goes = Client(pod.address)
        (step,) = stays.submit("nobody", [b""])
        ending = threads.submit(goes.wait, [step], timeout=20)
        staying = threads.submit(stays.wait, [step], timeout=20)
        until(lambda: ending.running() and staying.running(), "both wait")
        goes.close()
        with pytest.raises(Unavailable, match="closed"):
            ending.result(10)
        with pytest.raises(Unavailable, match="closed"):
            goes.stats()
        goes.close()
        stays.cancel([step])
        assert staying.result(10).cancelled == 1


def test_the_loop_ends_with_its_last_client_and_begins_with_the_next(pod: Pod) -> None:
    before = loops()
    for _ in range(2):
        with Client(pod.address) as client:
            assert client.stats().live_pods == 1
        assert loops() == before


FORKS = """
import os, sys
from fleetq_server.client import Client
from fleetq_server.errors import Unavailable

def forked(work):
    pid = os.fork()
    if pid == 0:
        work()
        sys.stdout.flush()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def ask(client):
    try:
        print(os.getpid() == parent, client.stats().live_pods, flush=True)
    except Unavailable as error:
        print(os.getpid() == parent, "forked" in str(error), flush=True)

parent = os.getpid()
early = Client(sys.argv[1])
forked(lambda: ask(Client(sys.argv[1])))
ask(early)
forked(lambda: (ask(early), ask(Client(sys.argv[1]))))
ask(early)
"""


def test_a_forked_process_works_or_is_told_why_not(pod: Pod) -> None:
    """gRPC itself would hang there, and take answers away from the parent."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, pod.address],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = ["False 1", "True 1", "False True", "False True", "True 1"]
    assert ran.stdout.splitlines() == told, ran.stderr


def test_an_interrupt_ends_the_call_it_interrupts(pod: Pod) -> None:
    """Ctrl-C, say, while the main thread waits."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def wait(client: Client) -> None:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        client.wait_steps(["1"], wait=20)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with Client(pod.address) as client:
            client.submit_one("nobody")
            with pytest.raises(KeyboardInterrupt):
                wait(client)
            assert client.stats().live_pods == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
