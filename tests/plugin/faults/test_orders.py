"""Orders to FLEET-Q pods, through their control file."""

import json
import threading
from pathlib import Path

import pytest

from pytest_fleetq.faults.orders import ControlFile, Orders
from tests.plugin.faults.world import BOUND, TinyPod


@pytest.fixture
def file(tmp_path: Path) -> ControlFile:
    return ControlFile(tmp_path / "faults.json")


def obeyed(file: ControlFile) -> dict[str, object]:
    found: dict[str, object] = json.loads(file.path.read_text())
    del found["injections"]
    return found


def test_several_injections_share_the_file(file: ControlFile) -> None:
    slow = file.give(slow_sync=0.5)
    broken = file.give(write_error=True)
    assert obeyed(file) == {"slow_sync": 0.5, "write_error": True}
    file.take_back(slow)
    assert obeyed(file) == {"write_error": True}
    file.take_back(broken)
    file.take_back(broken)
    assert obeyed(file) == {}


def test_of_two_of_a_kind_one_stays_in_force(file: ControlFile) -> None:
    first, second = file.give(slow_sync=0.1), file.give(slow_sync=0.2)
    assert obeyed(file) == {"slow_sync": 0.2}
    file.take_back(second)
    assert obeyed(file) == {"slow_sync": 0.1}
    file.take_back(first)


def test_failpoints_add_up(file: ControlFile) -> None:
    file.give(failpoints="store.before_commit=kill@1")
    file.give(failpoints="pod.ready=exit")
    assert obeyed(file) == {"failpoints": "store.before_commit=kill@1,pod.ready=exit"}


def test_concurrent_orders_are_all_kept(file: ControlFile) -> None:
    def give_and_take(number: int) -> None:
        for _ in range(20):
            file.take_back(file.give(**{f"order_{number}": 1}))
        file.give(**{f"order_{number}": 1})

    threads = [threading.Thread(target=give_and_take, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert obeyed(file) == {f"order_{i}": 1 for i in range(4)}


def test_evidence_is_what_was_hit_since(tmp_path: Path) -> None:
    pod = TinyPod(0, tmp_path, [])
    hits = pod.directory / "faults.json.hits"
    hits.write_text(json.dumps({"slow_sync": 3}))
    orders = Orders()
    orders.give(pod, slow_sync=0.1)
    assert orders.effect("slow_sync") is None
    hits.write_text(json.dumps({"slow_sync": 5, "write_error": 1}))
    assert orders.effect("slow_sync") == "pod-0: slow_sync 2 times"
    orders.take_back()
    assert orders.effect("slow_sync") == "pod-0: slow_sync 2 times"
