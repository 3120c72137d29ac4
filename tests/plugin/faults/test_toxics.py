"""Every toxic does what it is named for, and nothing once it is removed."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pytest_fleetq.faults.errors import LinksError
from pytest_fleetq.faults.proxy.links import Links
from tests.plugin.faults.world import BOUND, address_of, connect, read_all, read_exactly, until

EDGE = ("client", "pod-0")


class Wire:
    """One link, and what is done to it."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(BOUND)
        self.address = links.add_edge(*EDGE, address_of(self._listener))
        self._open: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, socket.socket]:
        client = connect(self.address)
        server, _ = self._listener.accept()
        server.settimeout(BOUND)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open += [client, server]
        return client, server

    def add(self, toxic: str, stream: str = "upstream", toxicity: float = 1.0, **how: float) -> str:
        return self.links.add_toxic(EDGE, toxic, stream, how, toxicity)

    def hits(self, toxic: str) -> int:
        return self.links.hits(EDGE).get(toxic, 0)

    def close(self) -> None:
        for one in (*self._open, self._listener):
            one.close()


@pytest.fixture
def wire(links: Links) -> Iterator[Wire]:
    found = Wire(links)
    yield found
    found.close()


def test_latency_delays_each_message_and_keeps_their_distance(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("latency", latency=200)
    began = time.monotonic()
    client.sendall(b"a")
    assert server.recv(1) == b"a"
    assert 0.2 <= time.monotonic() - began < 1
    assert wire.hits(toxic) == 1

    began = time.monotonic()
    for letter in (b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"):
        client.sendall(letter)
    assert read_exactly(server, 8) == b"abcdefgh"
    assert time.monotonic() - began < 1, "they wait side by side, not one after the other"


def test_latency_works_in_one_direction(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("latency", latency=60_000)
    server.sendall(b"now")
    assert client.recv(3) == b"now"
    client.sendall(b"later")
    until(lambda: wire.hits(toxic), "the chunk is delayed")
    server.settimeout(0.05)
    with pytest.raises(TimeoutError):
        server.recv(1)


def test_a_removed_toxic_lets_go_at_once(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("latency", latency=60_000)
    client.sendall(b"held")
    until(lambda: wire.hits(toxic), "the chunk is delayed")
    wire.links.remove_toxic(toxic)
    wire.links.remove_toxic(toxic)
    client.sendall(b" and after")
    assert read_exactly(server, 14) == b"held and after"


def test_chance_comes_from_the_seed() -> None:
    sent = bytes(200)

    def corrupted(seed: int) -> list[bytes]:
        links = Links(seed)
        wire = Wire(links)
        wire.add("corrupt", toxicity=0.7, every=7)
        found = []
        for _ in range(6):
            client, server = wire.connect()
            client.sendall(sent)
            found.append(read_exactly(server, len(sent)))
        wire.close()
        links.close()
        return found

    once = corrupted(1)
    assert len(set(once)) > 2, "each connection has its own luck"
    assert once == corrupted(1)
    assert once != corrupted(2)


def test_bandwidth_is_a_rate(wire: Wire) -> None:
    client, server = wire.connect()
    wire.add("bandwidth", rate=500)
    began = time.monotonic()
    client.sendall(os.urandom(200_000))
    assert len(read_exactly(server, 200_000)) == 200_000
    took = time.monotonic() - began
    assert 0.38 <= took < 1.5, f"200 kB at 500 kB/s took {took:.2f} s"


def test_slicer_cuts_messages_up(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("slicer", average_size=10, size_variation=5, delay=20_000)
    client.sendall(b"x" * 100)
    pieces: list[int] = []
    while sum(pieces) < 100:
        pieces.append(len(server.recv(100)))
    assert max(pieces) <= 15
    assert wire.hits(toxic) == len(pieces)


def test_slow_close_delays_the_end_alone(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("slow_close", delay=300)
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert read_exactly(server, 10) == b"last words"
    began = time.monotonic()
    assert server.recv(1) == b""
    assert 0.2 <= time.monotonic() - began < 2
    assert wire.hits(toxic) == 1


def test_a_blackhole_holds_everything_and_gives_it_back(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("timeout", timeout=0)
    client.sendall(b"lost, then sent again")
    client.shutdown(socket.SHUT_WR)
    until(lambda: wire.hits(toxic) == 2, "message and end are held")
    late, other = wire.connect()
    late.sendall(b"a new connection is taken, too")
    until(lambda: wire.hits(toxic) == 3, "the new one's message is held")
    server.settimeout(0.05)
    with pytest.raises(TimeoutError):
        server.recv(1)
    server.settimeout(BOUND)
    wire.links.remove_toxic(toxic)
    assert read_all(server) == b"lost, then sent again"
    assert other.recv(100) == b"a new connection is taken, too"


def test_a_blackhole_takes_no_more_than_it_can_hold(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("timeout", timeout=0)
    client.settimeout(0.3)
    sent = bytearray()
    with suppress(TimeoutError):
        while len(sent) < 100 << 20:
            block = os.urandom(65_536)
            sent += block[: client.send(block)]
    assert 1 << 20 <= len(sent) < 100 << 20
    wire.links.remove_toxic(toxic)
    client.shutdown(socket.SHUT_WR)
    assert read_all(server) == bytes(sent)


def test_a_timeout_closes(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("timeout", timeout=100)
    client.sendall(b"never arrives")
    assert server.recv(1) == b""
    assert client.recv(1) == b""
    assert wire.hits(toxic) == 1


def test_reset_peer_resets_idle_connections_too(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("reset_peer", timeout=50)
    for side in (client, server):
        with pytest.raises(ConnectionResetError):
            side.recv(1)
    assert wire.hits(toxic) == 1


def test_limit_data_passes_so_many_bytes_and_closes(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("limit_data", bytes=1000)
    client.sendall(b"x" * 600)
    client.sendall(b"y" * 600)
    assert read_all(server) == b"x" * 600 + b"y" * 400
    assert client.recv(1) == b""
    assert wire.hits(toxic) == 1


def test_corrupt_flips_one_bit_of_one_byte_in_so_many(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("corrupt", every=100)
    sent = os.urandom(1050)
    for at in range(0, len(sent), 70):
        client.sendall(sent[at : at + 70])
    client.shutdown(socket.SHUT_WR)
    received = read_all(server)
    changed = [at for at in range(len(sent)) if sent[at] != received[at]]
    assert changed == list(range(99, 1050, 100))
    assert {(sent[at] ^ received[at]).bit_count() for at in changed} == {1}
    assert wire.hits(toxic) == 10


def test_toxicity_is_drawn_once_for_each_connection(wire: Wire) -> None:
    wire.add("corrupt", toxicity=0.5, every=1)
    changed = 0
    for _ in range(40):
        client, server = wire.connect()
        client.sendall(b"ab")
        received = read_exactly(server, 2)
        assert (received[:1] == b"a") == (received[1:] == b"b"), "all of a connection or nothing"
        changed += received != b"ab"
    assert 5 < changed < 35


def test_toxics_stack(wire: Wire) -> None:
    client, server = wire.connect()
    limit = wire.add("limit_data", bytes=5)
    slow = wire.add("latency", latency=100)
    began = time.monotonic()
    client.sendall(b"0123456789")
    assert read_all(server) == b"01234"
    assert time.monotonic() - began >= 0.1
    assert wire.hits(limit) == 1
    assert wire.hits(slow) >= 1


@pytest.mark.parametrize(
    ("toxic", "how", "problem"),
    [
        ("bandwidth", {"rate": 0}, "rate=0 must be above 0"),
        ("slicer", {"average_size": 5, "size_variation": 5}, "size_variation=5"),
        ("corrupt", {"every": 0}, "every=0"),
    ],
)
def test_wrong_attributes_are_refused(
    wire: Wire, toxic: str, how: dict[str, float], problem: str
) -> None:
    with pytest.raises(LinksError, match=problem):
        wire.links.add_toxic(EDGE, toxic, "upstream", how)


def test_what_a_dead_client_said_before_it_closed_arrives(wire: Wire) -> None:
    client, server = wire.connect()
    toxic = wire.add("latency", latency=300)
    client.sendall(b"my last will")
    client.close()
    until(lambda: wire.hits(toxic), "it is on its way")
    server.sendall(b"nobody reads this: the answer is a reset")
    assert server.recv(100) == b"my last will"


def test_concurrent_orders_do_not_mix(wire: Wire) -> None:
    problems = []

    def toggle() -> None:
        try:
            for _ in range(30):
                wire.links.remove_toxic(wire.add("latency", latency=1))
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=toggle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert problems == []
