"""Whatever toxics come and go meanwhile, as long as none is meant to lose bytes: none is lost,
changed or overtaken."""

import random
import socket
import threading
from collections.abc import Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_fleetq.faults.proxy.links import Links
from tests.plugin.faults.world import BOUND, address_of, connect, read_all

EDGE = ("client", "pod-0")

HARMLESS: Mapping[str, list[dict[str, float]]] = {
    "latency": [{"latency": 3, "jitter": 3}, {"latency": 60_000}],
    "bandwidth": [{"rate": 100}, {"rate": 20_000}],
    "slicer": [{"average_size": 1000, "size_variation": 999, "delay": 10}],
    "slow_close": [{"delay": 60_000}],
    "timeout": [{"timeout": 0}],
}
TOXICS = [(name, how) for name, hows in HARMLESS.items() for how in hows]

moves = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"),
            st.sampled_from(range(len(TOXICS))),
            st.sampled_from(["upstream", "downstream"]),
        ),
        st.tuples(st.just("remove"), st.integers(0, 9), st.just("")),
    ),
    max_size=25,
)


def stream_of(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


class Sending(threading.Thread):
    """Sends bytes in pieces of any size, and then that there is no more."""

    def __init__(self, to: socket.socket, data: bytes, seed: int) -> None:
        super().__init__(daemon=True)
        self._to, self._data, self._rng = to, data, random.Random(seed)
        self.start()

    def run(self) -> None:
        at = 0
        while at < len(self._data):
            size = self._rng.choice([1, 10, 1000, 50_000])
            self._to.sendall(self._data[at : at + size])
            at += size
        self._to.shutdown(socket.SHUT_WR)


class Reading(threading.Thread):
    def __init__(self, of: socket.socket) -> None:
        super().__init__(daemon=True)
        self._of = of
        self.found = b""
        self.start()

    def run(self) -> None:
        self.found = read_all(self._of)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(moves=moves, seed=st.integers(0, 1000), sizes=st.tuples(*[st.integers(0, 400_000)] * 2))
def test_no_byte_is_lost(
    links: Links, moves: list[tuple[str, int, str]], seed: int, sizes: tuple[int, int]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = connect(links.add_edge(*EDGE, address_of(listener)))
        server, _ = listener.accept()
    with client, server:
        asked, answered = stream_of(seed, sizes[0]), stream_of(seed + 1, sizes[1])
        readers = [Reading(server), Reading(client)]
        senders = [Sending(client, asked, seed), Sending(server, answered, seed + 2)]
        active: list[str] = []
        for move, which, stream in moves:
            if move == "add":
                toxic, how = TOXICS[which]
                active.append(links.add_toxic(EDGE, toxic, stream, how))
            elif active:
                links.remove_toxic(active.pop(which % len(active)))
        for toxic in active:
            links.remove_toxic(toxic)
        for thread in (*senders, *readers):
            thread.join(BOUND)
            assert not thread.is_alive(), "something never arrived"
        assert [one.found for one in readers] == [asked, answered]
