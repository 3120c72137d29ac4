"""The smallest schedule that still fails."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_fleetq.faults.errors import NotReproduced
from pytest_fleetq.faults.schedule import Planned, Schedule
from pytest_fleetq.faults.shrink import Run, shrink

MANY = Schedule.plan(["a", "b", "c", "d"], duration=60, rate=0.5, seed=1, usual={"b": "all"})


def names(schedule: Schedule) -> list[str]:
    return [one.fault for one in schedule.injections]


def needs(*faults: str) -> Run:
    return lambda schedule: set(faults) <= set(names(schedule))


def test_one_culprit_is_found_among_many() -> None:
    assert len(MANY.injections) > 50
    culprit = MANY.injections[17]
    found = shrink(MANY, lambda s: any(one.seed == culprit.seed for one in s.injections))
    assert [one.seed for one in found.schedule.injections] == [culprit.seed]
    assert found.failure_rate == 1
    assert found.tried < 60


@settings(max_examples=40)
@given(culprits=st.sets(st.integers(0, len(MANY.injections) - 1), max_size=5))
def test_exactly_those_that_matter_are_left(culprits: set[int]) -> None:
    wanted = {MANY.injections[i].seed for i in culprits}
    found = shrink(MANY, lambda s: wanted <= {one.seed for one in s.injections}, times=1)
    assert {one.seed for one in found.schedule.injections} == wanted


def test_durations_shrink_as_far_as_it_still_fails() -> None:
    one = Planned(0, 8.0, "pause", "pod-0", {}, "s")
    found = shrink(Schedule((one,), 10, 0), lambda s: sum(i.lasts for i in s.injections) >= 1.5)
    assert found.schedule.injections[0].lasts == 2.0


@pytest.mark.parametrize(
    ("target", "enough", "left"),
    [
        ("all", {"all", "majority"}, "majority"),
        ("all", {"all", "majority", "random:1"}, "random:1"),
        ("random:4", {"random:4", "random:3", "random:2"}, "random:2"),
        ("minority", {"minority", "random:1"}, "random:1"),
        ("leader", {"leader"}, "leader"),
    ],
)
def test_targets_shrink(target: str, enough: set[str], left: str) -> None:
    one = Planned(0, 0.05, "pause", target, {}, "s")
    found = shrink(
        Schedule((one,), 1, 0), lambda s: [i.target in enough for i in s.injections] == [True]
    )
    assert found.schedule.injections[0].target == left


def test_lists_of_pods_shrink_to_those_that_matter() -> None:
    one = Planned(0, 0.05, "kill", ("pod-0", "pod-1", "pod-2", "pod-3"), {}, "s")

    def fails(schedule: Schedule) -> bool:
        return any(
            {"pod-1", "pod-3"} <= set(i.target)
            for i in schedule.injections
            if isinstance(i.target, tuple)
        )

    assert shrink(Schedule((one,), 1, 0), fails).schedule.injections[0].target == ("pod-1", "pod-3")


def flaky(run: Run, rate: float, seed: int = 0) -> Callable[[Schedule], bool]:
    rng = random.Random(seed)
    return lambda schedule: run(schedule) and rng.random() < rate


@pytest.mark.parametrize("seed", range(20))
def test_a_failure_that_comes_and_goes_still_shrinks(seed: int) -> None:
    found = shrink(MANY, flaky(needs("a", "b"), 0.6, seed), times=8)
    assert set(names(found.schedule)) == {"a", "b"}
    assert len(found.schedule.injections) <= 3
    assert 0 < found.failure_rate <= 1


def test_needing_more_failures_keeps_the_rate_up() -> None:
    """Two of `a` fail always, one rarely: that one alone is smaller, but no longer reproduces."""

    def make() -> Run:
        rng = random.Random(4)
        return lambda s: names(s).count("a") >= 2 or ("a" in names(s) and rng.random() < 0.25)

    lax, strict = shrink(MANY, make(), times=8), shrink(MANY, make(), times=8, need=6)
    assert len(lax.schedule.injections) == 1
    assert names(strict.schedule) == ["a", "a"]
    assert strict.failure_rate == 1


def test_what_never_fails_is_not_shrunk() -> None:
    with pytest.raises(NotReproduced, match="failed less than 1 time in 5 runs"):
        shrink(MANY, lambda _: False, times=5)


def test_it_stops_after_so_many_runs_with_the_best_so_far() -> None:
    found = shrink(MANY, needs("a", "b", "c"), times=1, most_runs=10)
    assert found.tried == 11
    assert found.failure_rate == 1
    assert len(found.schedule.injections) < len(MANY.injections)


def test_it_tells_how_far_it_is_and_what_is_left() -> None:
    told: list[str] = []
    found = shrink(MANY, needs("c"), progress=told.append)
    assert told[-1].startswith("still fails with 1 injection after ")
    assert "c on random:1" in str(found)
    assert "fails 3 of 3 times" in str(found)
