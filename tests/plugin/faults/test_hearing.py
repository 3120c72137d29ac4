"""Who hears whom."""

import pytest

from pytest_fleetq.faults.network.hearing import apart, bridge, ring

NAMES = [f"pod-{i}" for i in range(9)]


def heard_by(name: str, names: list[str], silence: set[tuple[str, str]]) -> set[str]:
    return {other for other in names if (name, other) not in silence}


def test_apart_is_both_ways() -> None:
    assert apart(["a"], ["b", "c"]) == {("a", "b"), ("b", "a"), ("a", "c"), ("c", "a")}


@pytest.mark.parametrize("size", [3, 4, 5, 8])
def test_a_bridge_has_one_whom_both_halves_hear(size: int) -> None:
    names = NAMES[:size]
    silence = bridge(names)
    hear_all = [name for name in names if heard_by(name, names, silence) == set(names)]
    assert len(hear_all) == 1
    assert silence == {(b, a) for a, b in silence}
    others = [name for name in names if name not in hear_all]
    groups = {frozenset(heard_by(name, names, silence) - set(hear_all)) for name in others}
    assert len(groups) == 2


@pytest.mark.parametrize("size", [3, 4, 5, 6, 7, 9])
def test_in_a_ring_everybody_hears_another_majority(size: int) -> None:
    names = NAMES[:size]
    silence = ring(names)
    majorities = [frozenset(heard_by(name, names, silence)) for name in names]
    assert len(set(majorities)) == size
    assert all(
        name in heard and len(heard) == size // 2 + 1
        for name, heard in zip(names, majorities, strict=True)
    )


def test_a_ring_of_five_is_symmetric() -> None:
    silence = ring(NAMES[:5])
    assert silence == {(b, a) for a, b in silence}
