"""The proxy, when nothing is wrong with a link, and when it is cut."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.errors import LinksError
from pytest_fleetq.faults.proxy.links import Links
from tests.plugin.faults.world import (
    BOUND,
    ROOT,
    TinyFleet,
    address_of,
    ask,
    connect,
    echoes,
    gone,
    read_all,
    until,
)

EDGE = ("client", "pod-0")


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyFleet]:
    with echoes(tmp_path_factory.mktemp("echo")) as fleet:
        yield fleet


@pytest.fixture
def through(links: Links, echo: TinyFleet) -> str:
    """A fresh link's address."""
    return links.add_edge(*EDGE, echo.pods[0].address)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.settimeout(BOUND)
        yield found


def linked(links: Links, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    """The two ends of one connection through a link."""
    client = connect(links.add_edge(*EDGE, address_of(listener)))
    server, _ = listener.accept()
    server.settimeout(BOUND)
    return client, server


def test_what_goes_in_comes_out(through: str) -> None:
    assert ask(through) == b"hello"


def test_a_large_transfer_arrives_whole(through: str) -> None:
    payload = os.urandom(8 << 20)
    with connect(through) as client:
        sender = threading.Thread(target=send_all, args=(client, payload))
        sender.start()
        assert read_all(client) == payload
        sender.join(BOUND)


def test_a_half_closed_connection_still_answers(links: Links, listener: socket.socket) -> None:
    client, server = linked(links, listener)
    with client, server:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(server) == b"question"
        server.sendall(b"answer")
        assert client.recv(100) == b"answer"
        server.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""


def test_a_reset_is_passed_on(links: Links, listener: socket.socket) -> None:
    client, server = linked(links, listener)
    with server:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        with pytest.raises(ConnectionResetError):
            server.recv(1)


def test_a_slow_reader_holds_up_the_writer(links: Links, listener: socket.socket) -> None:
    client, server = linked(links, listener)
    before = resident(links.pid)
    client.settimeout(0.5)
    sent = 0
    with client, server:
        with suppress(TimeoutError):
            while sent < 200 << 20:
                sent += client.send(b"x" * 65_536)
        assert sent < 200 << 20, "the writer was never held up"
        assert resident(links.pid) - before < 8 << 20, "the proxy keeps what it cannot deliver"
        client.shutdown(socket.SHUT_WR)
        assert len(read_all(server)) == sent


def test_a_target_that_is_not_there_resets(links: Links) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = address_of(free)
    listen = links.add_edge("client", "nobody", address)
    with pytest.raises(ConnectionResetError), connect(listen) as client:
        client.recv(1)
    assert links.hits(("client", "nobody"))["unreachable"] == 1


def test_a_cut_link_resets_and_refuses_until_it_is_mended(through: str, links: Links) -> None:
    with connect(through) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        links.cut(EDGE)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionResetError):
        ask(through)
    hits = links.hits(EDGE)
    assert (hits["connections"], hits["reset"], hits["refused"]) == (1, 1, 1)
    links.mend(EDGE)
    assert ask(through) == b"hello"


def test_a_link_can_lead_elsewhere(links: Links, tmp_path: Path, through: str) -> None:
    with echoes(tmp_path) as other:
        links.retarget(EDGE, other.pods[0].address)
        assert ask(through) == b"hello"
    with pytest.raises(ConnectionResetError):
        ask(through)


def test_wrong_orders_are_answered(links: Links, through: str) -> None:
    with pytest.raises(LinksError, match="no toxic 'lateness'"):
        links.add_toxic(EDGE, "lateness", "downstream", {})
    with pytest.raises(LinksError, match="attributes: lateness"):
        links.add_toxic(EDGE, "latency", "downstream", {"lateness": 1})
    with pytest.raises(LinksError, match="upstream or downstream"):
        links.add_toxic(EDGE, "latency", "sideways", {})
    with pytest.raises(LinksError, match="there is no"):
        links.cut(("client", "pod-9"))
    assert ask(through) == b"hello"


def test_closing_leaves_no_process(echo: TinyFleet) -> None:
    links = Links()
    listen = links.add_edge(*EDGE, echo.pods[0].address)
    found = proc.stat(links.pid)
    assert found is not None
    with connect(listen) as client:
        links.close()
        links.close()
        assert proc.is_gone(links.pid, found.born)
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""
    with pytest.raises(LinksError, match="closed"):
        links.hits(EDGE)


def test_a_proxy_that_died_is_told_of() -> None:
    links = Links()
    links.add_edge(*EDGE, "127.0.0.1:1")
    os.kill(links.pid, signal.SIGKILL)
    with pytest.raises(LinksError, match="proxy"):
        until(lambda: links.hits(EDGE) is None, "the proxy is gone")
    links.close()


PARENT = """
import os, sys, threading
from pytest_fleetq.faults.proxy.links import Links
made = []
def make():
    links = Links()
    links.add_edge("client", "pod-0", "127.0.0.1:1")
    made.append(links)
thread = threading.Thread(target=make)  # that this thread ends must not end the proxy
thread.start()
thread.join()
if os.fork() == 0:
    os.execlp("sleep", "sleep", "60")  # holds nothing of ours, being executed
if os.fork() == 0:
    import time
    time.sleep(60)  # holds all of ours, being only forked
print(made[0].pid, made[0].hits(("client", "pod-0"))["connections"], flush=True)
sys.stdin.read()
"""


def test_the_proxy_dies_with_its_parent_though_others_hold_its_pipe() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=-1, stdout=-1, text=True, cwd=ROOT, process_group=0
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[0])
        found = proc.stat(pid)
        assert found is not None
        parent.kill()
        parent.wait(BOUND)
        gone(pid, found.born)
        os.killpg(parent.pid, signal.SIGKILL)


def test_it_adds_little_to_a_round_trip(through: str, echo: TinyFleet) -> None:
    """0.3 ms at the median, says `fleetq bench proxy`; ten times that is no noise any more. Other
    work on the machine only ever adds, so the best of some alternating rounds counts."""
    direct, proxied = echo.pods[0].address, through
    added = min(round_trip(proxied) - round_trip(direct) for _ in range(6))
    assert added <= 3e-3, f"{added * 1e3:.3f} ms"


def send_all(one: socket.socket, payload: bytes) -> None:
    one.sendall(payload)
    one.shutdown(socket.SHUT_WR)


def round_trip(address: str) -> float:
    """Median seconds."""
    times = []
    with connect(address) as client:
        for _ in range(300):
            began = time.perf_counter()
            client.sendall(b"x" * 100)
            client.recv(100)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def resident(pid: int) -> int:
    return int(proc.status(pid, "VmRSS").split()[0]) * 1024
