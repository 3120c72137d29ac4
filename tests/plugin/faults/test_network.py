"""Network faults on the links of real echo servers."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import permutations

import pytest

from pytest_fleetq.faults.errors import BadSetting, BadTarget, FaultHadNoEffect
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.proxy.links import Links
from pytest_fleetq.faults.registry import Registry
from tests.plugin.faults.world import BOUND, TinyFleet, ask, connect, echoes, read_exactly, until

NAMES = ["pod-0", "pod-1", "pod-2"]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyFleet]:
    with echoes(tmp_path_factory.mktemp("echo"), 3) as found:
        yield found


@pytest.fixture
def mesh(servers: TinyFleet) -> Iterator[Links]:
    """Links from the client to every pod, and from each pod to each other."""
    with_links = Links()
    for source in ("client", *NAMES):
        for pod in servers.pods:
            if source != pod.name:
                with_links.add_edge(source, pod.name, pod.address)
    servers.links = with_links
    yield with_links
    with_links.close()


def inject(fleet: TinyFleet, name: str, *targets: int, **settings: object) -> Injection:
    pods = [fleet.pods[i] for i in targets]
    fault = Registry().make(name, **settings)
    return Injection(fault, pods, record=lambda *_: None).start(fleet)


def reaches(links: Links, source: str, target: str, patience: float = 0.25) -> bool:
    """Whether a question from there is answered."""
    with suppress(OSError), connect(links.address((source, target))) as one:
        one.settimeout(patience)
        one.sendall(b"?")
        return one.recv(1) == b"?"
    return False


def reach(links: Links) -> set[tuple[str, str]]:
    return {edge for edge in links.edges() if reaches(links, *edge)}


def test_a_partition_cuts_off_both_ways_and_the_client_too(servers: TinyFleet, mesh: Links) -> None:
    everything = reach(mesh)
    with inject(servers, "partition", 0, 1) as injection:
        assert reach(mesh) == {("pod-0", "pod-1"), ("pod-1", "pod-0"), ("client", "pod-2")}
    assert reach(mesh) == everything
    assert "client → pod-0" in injection.check_effect()


def test_a_partition_may_leave_the_client(servers: TinyFleet, mesh: Links) -> None:
    with inject(servers, "partition", 0, client=False):
        assert ("client", "pod-0") in reach(mesh)
        assert ("pod-1", "pod-0") not in reach(mesh)


def test_a_silent_partition_resets_nothing_and_loses_nothing(
    servers: TinyFleet, mesh: Links
) -> None:
    with connect(mesh.address(("client", "pod-0"))) as client:
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        with inject(servers, "partition", 0, silent=True) as injection:
            client.sendall(b"b")
            client.settimeout(0.05)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.settimeout(BOUND)
        assert client.recv(1) == b"b"
    assert injection.check_effect()


class Listening:
    """A pod's end of a link, to see what arrives there."""

    def __init__(self, links: Links, source: str, target: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            links.retarget((source, target), f"127.0.0.1:{listener.getsockname()[1]}")
            self.source = connect(links.address((source, target)))
            self.target, _ = listener.accept()

    def passes(self, *, back: bool = False) -> bool:
        sender, receiver = (self.target, self.source) if back else (self.source, self.target)
        sender.sendall(b"x")
        receiver.settimeout(0.1)
        with suppress(TimeoutError):
            return receiver.recv(1) == b"x"
        return False

    def close(self) -> None:
        self.source.close()
        self.target.close()


@pytest.mark.parametrize("hear", [False, True])
def test_one_way_is_one_way_on_whichever_connection(
    servers: TinyFleet, mesh: Links, hear: bool
) -> None:
    to_it = Listening(mesh, "pod-1", "pod-0")
    from_it = Listening(mesh, "pod-0", "pod-1")
    with inject(servers, "partition", 0, one_way=True, hear=hear) as injection:
        assert (to_it.passes(), to_it.passes(back=True)) == (hear, not hear)
        assert (from_it.passes(), from_it.passes(back=True)) == (not hear, hear)
    assert injection.check_effect()
    to_it.close()
    from_it.close()


def test_a_bridge_lets_only_the_middle_through(servers: TinyFleet, mesh: Links) -> None:
    with inject(servers, "bridge", 0, 1, 2) as injection:
        cut = set(permutations(["pod-0", "pod-2"]))
        assert reach(mesh) == set(mesh.edges()) - cut
    assert injection.check_effect()


def test_a_ring_of_three_is_heard_by_the_one_before(servers: TinyFleet, mesh: Links) -> None:
    links = {pair: Listening(mesh, *pair) for pair in permutations(NAMES, 2)}
    with inject(servers, "ring", 0, 1, 2) as injection:
        heard = {source for source in NAMES[1:] if links[source, "pod-0"].passes()}
        assert heard == {"pod-1"}
    assert injection.check_effect()
    for link in links.values():
        link.close()


@pytest.mark.parametrize("pattern", ["bridge", "ring"])
def test_a_pattern_needs_three(servers: TinyFleet, mesh: Links, pattern: str) -> None:
    with pytest.raises(BadTarget, match="at least 3 pods"):
        inject(servers, pattern, 0, 1)


def test_overlapping_partitions_heal_one_by_one(servers: TinyFleet, mesh: Links) -> None:
    first = inject(servers, "partition", 0)
    second = inject(servers, "partition", 0)
    first.heal()
    assert not reaches(mesh, "client", "pod-0"), "the second one is still there"
    second.heal()
    assert reaches(mesh, "client", "pod-0")


def test_a_partition_that_nobody_met_had_no_effect(servers: TinyFleet, mesh: Links) -> None:
    injection = inject(servers, "partition", 0)
    injection.heal()
    with pytest.raises(FaultHadNoEffect):
        injection.check_effect()


def join(fleet: TinyFleet, links: Links) -> None:
    """A pod that is added: it reaches the others, the client reaches it."""
    for pod in fleet.pods:
        links.add_edge("pod-3", pod.name, pod.address)
    links.add_edge("client", "pod-3", fleet.pods[2].address)


def test_a_partition_holds_for_a_pod_that_is_added(servers: TinyFleet, mesh: Links) -> None:
    with inject(servers, "partition", 0):
        join(servers, mesh)
        assert not reaches(mesh, "pod-3", "pod-0")
        assert reaches(mesh, "pod-3", "pod-1")
        assert reaches(mesh, "client", "pod-3")
    assert reaches(mesh, "pod-3", "pod-0")
    links = len(mesh.edges())
    mesh.add_edge("pod-4", "pod-0", servers.pods[0].address)
    assert reaches(mesh, "pod-4", "pod-0"), "it is over"
    assert len(mesh.edges()) == links + 1


@pytest.mark.parametrize("pattern", ["bridge", "ring"])
def test_a_pattern_leaves_a_pod_that_is_added_alone(
    servers: TinyFleet, mesh: Links, pattern: str
) -> None:
    with inject(servers, pattern, 0, 1, 2):
        join(servers, mesh)
        assert all(reaches(mesh, *edge) for edge in mesh.edges() if "pod-3" in edge)


def test_a_toxic_acts_on_links_of_a_pod_that_is_added(servers: TinyFleet, mesh: Links) -> None:
    with inject(servers, "timeout", 0):
        join(servers, mesh)
        assert not reaches(mesh, "pod-3", "pod-0")
        assert reaches(mesh, "pod-3", "pod-1")
    assert reaches(mesh, "pod-3", "pod-0")


def test_latency_of_one_pod(servers: TinyFleet, mesh: Links) -> None:
    with inject(servers, "latency", 0, latency=150.0, jitter=0.0) as injection:
        began = time.monotonic()
        assert ask(mesh.address(("client", "pod-0"))) == b"hello"
        assert time.monotonic() - began >= 0.15
        began = time.monotonic()
        assert ask(mesh.address(("client", "pod-1"))) == b"hello"
        assert time.monotonic() - began < 0.14
    assert injection.check_effect().startswith("latency acted ")


def test_from_one_source_only(servers: TinyFleet, mesh: Links) -> None:
    with inject(servers, "timeout", 0, source="pod-1") as injection:
        assert reaches(mesh, "client", "pod-0")
        assert not reaches(mesh, "pod-1", "pod-0")
    assert injection.check_effect()
    with pytest.raises(BadTarget, match="no link from 'pod-9'"):
        inject(servers, "timeout", 0, source="pod-9")


def test_every_toxic_can_be_injected(servers: TinyFleet, mesh: Links) -> None:
    address = mesh.address(("client", "pod-0"))
    for name in ("bandwidth", "slicer", "corrupt"):
        settings = {"corrupt": {"every": 1}}.get(name, {})
        with inject(servers, name, 0, **settings) as injection:
            assert (ask(address, b"x" * 500) == b"x" * 500) == (name != "corrupt")
        assert injection.check_effect()
    with inject(servers, "limit_data", 0, bytes=3) as injection, connect(address) as client:
        client.sendall(b"12345")
        assert read_exactly(client, 5) == b"123"
    assert injection.check_effect()
    with inject(servers, "reset_peer", 0) as injection, pytest.raises(ConnectionResetError):
        ask(address)
    assert injection.check_effect()
    with inject(servers, "slow_close", 0, delay=60_000.0) as injection, connect(address) as client:
        client.shutdown(socket.SHUT_WR)
        until(injection.look, "the end of the answer is held back")
    assert injection.check_effect()


def test_settings_of_the_network_are_checked() -> None:
    for settings, problem in (
        ({"hear": True}, "one_way=True too"),
        ({"one_way": 1}, "true or false"),
    ):
        with pytest.raises(BadSetting, match=problem):
            Registry().make("partition", **settings)
    with pytest.raises(BadSetting, match="size_variation=32 must be below average_size=7"):
        Registry().make("slicer", average_size=7)
    with pytest.raises(BadSetting, match="toxicity=2 must be a number from 0 up to 1"):
        Registry().make("latency", toxicity=2)
    with pytest.raises(BadSetting, match="stream='sideways' must be one of"):
        Registry().make("latency", stream="sideways")
