"""A nemesis is planned before anything runs: from a seed, to JSON and back."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_fleetq.faults.schedule import Draw, Schedule

SEVERAL = ("kill", "pause", "partition")


def plan(*faults: str | Draw, seed: int = 1, duration: float = 60, rate: float = 0.5) -> Schedule:
    return Schedule.plan(faults, duration=duration, rate=rate, seed=seed)


def test_the_seed_decides() -> None:
    assert plan(*SEVERAL) == plan(*SEVERAL)
    assert plan(*SEVERAL) != plan(*SEVERAL, seed=2)


@given(seed=st.integers(), left_out=st.sampled_from(SEVERAL))
def test_leaving_a_fault_out_changes_nothing_about_the_others(seed: int, left_out: str) -> None:
    all_of_them = plan(*SEVERAL, seed=seed)
    fewer = plan(*[fault for fault in SEVERAL if fault != left_out], seed=seed)
    rest = tuple(one for one in all_of_them.injections if one.fault != left_out)
    assert fewer.injections == rest


@given(seed=st.integers(), duration=st.floats(0.1, 100), rate=st.floats(0.01, 20))
def test_everything_ends_in_time_and_a_fault_never_overlaps_itself(
    seed: int, duration: float, rate: float
) -> None:
    found = plan("kill", "pause", seed=seed, duration=duration, rate=rate)
    assert [one.at for one in found.injections] == sorted(one.at for one in found.injections)
    for fault in ("kill", "pause"):
        end = 0.0
        for one in found.injections:
            if one.fault == fault:
                assert one.at >= end - 0.002
                assert one.lasts > 0
                end = one.ends
        assert end <= duration + 0.002


def test_the_rate_is_each_faults_own() -> None:
    quick = Draw("kill", lasts=(0, 0))
    found = plan(quick, replace(quick, fault="pause", rate=5), duration=1000, rate=1)
    counts = [sum(one.fault == name for one in found.injections) for name in ("kill", "pause")]
    assert 800 < counts[0] < 1100
    assert 3200 < counts[1] < 5300


def test_the_same_fault_twice_has_two_streams() -> None:
    found = plan(Draw("kill", "leader"), Draw("kill", "pod-1"))
    leader = [one.at for one in found.injections if one.target == "leader"]
    other = [one.at for one in found.injections if one.target == "pod-1"]
    assert leader
    assert not set(leader) & set(other)


def test_targets_are_given_or_usual() -> None:
    found = Schedule.plan(
        ["ring", "kill", Draw("stop", ("pod-0", "pod-2"))],
        duration=60,
        rate=1,
        seed=0,
        usual={"ring": "all"},
    )
    targets = {one.fault: one.target for one in found.injections}
    assert targets == {"ring": "all", "kill": "random:1", "stop": ("pod-0", "pod-2")}


def test_to_json_and_back() -> None:
    found = plan("kill", Draw("latency", ("pod-0",), settings={"latency": 5}))
    assert Schedule.from_json(found.to_json()) == found


def test_what_is_no_schedule_is_refused() -> None:
    whole = json.loads(plan("kill").to_json())
    wrongs: list[object] = [[], {}, {**whole, "injections": [{}]}, {**whole, "format": 9}]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="schedule"):
            Schedule.from_json(json.dumps(wrong))


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_nonsense_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="duration"):
        plan("kill", duration=wrong)
    with pytest.raises(ValueError, match="rate"):
        plan("kill", rate=wrong)
    with pytest.raises(ValueError, match="rate"):
        Draw("kill", rate=wrong)
    with pytest.raises(ValueError, match="lasts"):
        Draw("kill", lasts=(2, 1))


def test_it_reads_as_a_list_of_what_happens_when() -> None:
    assert str(plan()) == "nothing is injected"
    first = str(plan(Draw("latency", "leader", settings={"latency": 5}))).splitlines()[0]
    assert "latency on leader for" in first
    assert "latency=5" in first
