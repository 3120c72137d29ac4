"""Pods by words."""

from pathlib import Path
from random import Random

import pytest

from pytest_fleetq.faults.errors import BadTarget
from pytest_fleetq.faults.targets import Target, choose
from tests.plugin.faults.world import TinyFleet, TinyPod


@pytest.fixture
def five(tmp_path: Path) -> TinyFleet:
    """Five pods that do not run."""
    return TinyFleet(tmp_path, [TinyPod(i, tmp_path, []) for i in range(5)])


def names(fleet: TinyFleet, target: Target, seed: int = 0) -> list[str]:
    return [pod.name for pod in choose(fleet, target, Random(seed))]


def test_by_name_index_and_itself(five: TinyFleet) -> None:
    assert names(five, "pod-1") == names(five, 1) == names(five, five.pods[1]) == ["pod-1"]


def test_a_list_is_all_of_them_once_and_in_order(five: TinyFleet) -> None:
    assert names(five, ["pod-3", 0, five.pods[3], ["pod-1"]]) == ["pod-0", "pod-1", "pod-3"]
    assert names(five, (pod for pod in five.pods[:2])) == ["pod-0", "pod-1"]


def test_parts_of_the_fleet(five: TinyFleet) -> None:
    assert names(five, "all") == [f"pod-{i}" for i in range(5)]
    assert len(names(five, "minority")) == 2
    assert len(names(five, "majority")) == 3
    five.pods = five.pods[:4]
    assert len(names(five, "minority")) == 1
    assert len(names(five, "majority")) == 3


def test_chance_comes_from_the_seed_and_reaches_everybody(five: TinyFleet) -> None:
    drawn = [tuple(names(five, "minority", seed)) for seed in range(50)]
    assert drawn == [tuple(names(five, "minority", seed)) for seed in range(50)]
    assert {name for pair in drawn for name in pair} == set(names(five, "all"))


def test_random_means_pods_that_run(fleet: TinyFleet) -> None:
    fleet.pods[1].kill()
    assert names(fleet, "random:2") == ["pod-0", "pod-2"]
    assert names(fleet, "random")[0] in {"pod-0", "pod-2"}
    with pytest.raises(BadTarget, match=r"'random:3'.*2 running pods"):
        names(fleet, "random:3")


def test_the_leader_is_who_leads_now(fleet: TinyFleet) -> None:
    assert names(fleet, "leader") == ["pod-0"]
    fleet.pods[0].kill()
    assert names(fleet, "leader") == ["pod-1"]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("pod-9", "no pod can be meant by 'pod-9'.*has pod-0, pod-1, pod-2, pod-3, pod-4"),
        ("random:0", "say leader, all, minority"),
        ("random:x", "say leader"),
        ("leader:2", "say leader"),
        (5, "no pod 5; this cluster has pod-0"),
        (-1, "no pod -1"),
        (True, "no pod can be meant by True"),
        (None, "no pod can be meant by None"),
        (2.5, "no pod can be meant by 2.5"),
        ([], "chooses no pod"),
        (["pod-1", "nobody"], "'nobody'"),
    ],
)
def test_nonsense_is_named(five: TinyFleet, target: Target, problem: str) -> None:
    with pytest.raises(BadTarget, match=problem):
        names(five, target)


def test_a_pod_of_another_cluster_is_refused(five: TinyFleet, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = TinyPod(1, tmp_path / "other", [])
    with pytest.raises(BadTarget, match="not a pod of this cluster"):
        names(five, stranger)


def test_one_pod_is_no_minority(five: TinyFleet) -> None:
    five.pods = five.pods[:1]
    with pytest.raises(BadTarget, match=r"'minority'.*1 pod"):
        names(five, "minority")
