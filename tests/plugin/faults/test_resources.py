"""What a pod needs from its machine, on real processes."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.faults.resources.file_descriptors import lowest_limit
from tests.plugin.faults.world import TinyFleet, TinyPod, ask, connect, gone, python, running

# Allocates as many MB as it is asked for, and says whether it could.
EATER = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
kept = []
while True:
    one, _ = listener.accept()
    try:
        kept.append(bytearray(int(one.recv(5)) * 1_000_000))
        one.sendall(b"eaten")
    except MemoryError:
        one.sendall(b"no mo")
    one.close()
"""


@pytest.fixture
def eater(tmp_path: Path) -> Iterator[TinyFleet]:
    with running(TinyFleet(tmp_path, [TinyPod(0, tmp_path, python(EATER))])) as fleet:
        yield fleet


def inject(fleet: TinyFleet, name: str, **settings: object) -> Injection:
    fault = Registry().make(name, **settings)
    return Injection(fault, fleet.pods[:1], record=lambda *_: None).start(fleet)


def test_memory_is_limited_and_given_back(eater: TinyFleet) -> None:
    address, pid = eater.pods[0].address, eater.pods[0].pid
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    with inject(eater, "memory_limit", headroom=40.0) as injection:
        assert ask(address, b"00100") == b"no mo"
        assert ask(address, b"00010") == b"eaten"
    assert resource.prlimit(pid, resource.RLIMIT_AS) == before
    assert ask(address, b"00100") == b"eaten"
    assert "bytes of memory" in injection.check_effect()


def test_no_more_descriptors_than_allowed(fleet: TinyFleet) -> None:
    pod = fleet.pods[0]
    before = resource.prlimit(pod.pid, resource.RLIMIT_NOFILE)
    used = len(proc.descriptors(pod.pid))
    with inject(fleet, "file_descriptors", headroom=2) as injection:
        clients = [connect(pod.address) for _ in range(2)]
        for client in clients:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        assert len(proc.descriptors(pod.pid)) == used + 2
        with connect(pod.address) as third:
            third.settimeout(0.1)
            third.sendall(b"x")
            with pytest.raises((TimeoutError, ConnectionResetError)):
                third.recv(1)
        for client in clients:
            client.close()
    assert not pod.alive or resource.prlimit(pod.pid, resource.RLIMIT_NOFILE) == before
    assert "file descriptors" in injection.check_effect()


@pytest.mark.parametrize(
    ("used", "more", "limit"),
    [([0, 1, 2], 0, 3), ([0, 1, 2], 2, 5), ([0, 1, 5], 0, 2), ([0, 1, 5], 3, 6), ([0, 1, 3], 1, 4)],
)
def test_the_limit_leaves_so_many_free_numbers(used: list[int], more: int, limit: int) -> None:
    assert lowest_limit(used, more) == limit
    assert len(set(range(limit)) - set(used)) == more


def test_a_pod_started_meanwhile_keeps_its_own_limits(eater: TinyFleet) -> None:
    pod = eater.pods[0]
    with inject(eater, "memory_limit", headroom=0.0):
        pod.kill()
        pod.start()
        own = resource.prlimit(pod.pid, resource.RLIMIT_AS)
    assert resource.prlimit(pod.pid, resource.RLIMIT_AS) == own


def test_hogs_burn_the_pods_cpu_and_leave(fleet: TinyFleet) -> None:
    pod = fleet.pods[0]
    before = os.sched_getaffinity(pod.pid)
    hogs_before = children()
    with inject(fleet, "cpu_hog", processes=2) as injection:
        assert len(os.sched_getaffinity(pod.pid)) == 1
        hogs = children() - hogs_before
        born = {hog: found.born for hog in hogs if (found := proc.stat(hog))}
        assert len(hogs) == 4, "two hogs and what holds them"
        assert ask(pod.address) == b"hello"
    assert os.sched_getaffinity(pod.pid) == before
    for hog, when in born.items():
        gone(hog, when)
    assert "burnt" in injection.check_effect()


def children() -> set[int]:
    """All processes that come from this one."""
    found, new = set[int](), {os.getpid()}
    while new:
        lines = [Path(f"/proc/{pid}/task/{pid}/children") for pid in new]
        new = {int(one) for line in lines if line.exists() for one in line.read_text().split()}
        found |= new
    return found
