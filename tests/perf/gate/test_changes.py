from random import Random

import pytest

from pytest_fleetq.perf.changes import SHORTEST, best_split, find_changes


def noisy(levels: list[tuple[int, float]], spread: float, seed: int = 1) -> list[float]:
    rng = Random(seed)
    return [level * rng.lognormvariate(0, spread) for count, level in levels for _ in range(count)]


def test_a_step_is_found_where_it_is() -> None:
    (change,) = find_changes(noisy([(30, 100), (30, 115)], 0.02))
    assert change.at == pytest.approx(30, abs=1)
    assert change.ratio == pytest.approx(1.15, abs=0.02)
    assert change.p < 0.001


def test_a_change_to_the_better_is_one_as_well() -> None:
    (change,) = find_changes(noisy([(40, 100), (20, 70)], 0.05))
    assert change.ratio == pytest.approx(0.7, abs=0.04)


def test_several_changes_are_told_apart() -> None:
    changes = find_changes(noisy([(60, 100), (40, 120), (60, 100), (60, 150)], 0.04))
    assert [change.at for change in changes] == pytest.approx([60, 100, 160], abs=3)


def test_one_slow_run_is_no_change() -> None:
    values = noisy([(60, 100)], 0.03)
    values[30] *= 4
    assert not find_changes(values)


def test_less_than_five_percent_does_not_count() -> None:
    assert not find_changes([100.0] * 20 + [104.9] * 20)
    assert find_changes([100.0] * 20 + [105.1] * 20)


def test_a_change_has_its_place_as_soon_as_it_lasted() -> None:
    (change,) = find_changes([100.0] * 20 + [150.0] * SHORTEST)
    assert change.at == 20


@pytest.mark.parametrize("length", range(2 * SHORTEST))
def test_short_histories_have_no_changes(length: int) -> None:
    assert find_changes([1.0 + 9 * (i % 2) for i in range(length)]) == []


@pytest.mark.parametrize("spread", [0.02, 0.1])
def test_noise_alone_hardly_ever_changes(spread: float) -> None:
    false = sum(len(find_changes(noisy([(100, 50)], spread, seed))) for seed in range(60))
    assert false <= 6


def test_the_best_split_has_the_largest_divergence_by_definition() -> None:
    values = noisy([(12, 10), (9, 12)], 0.1, seed=4)

    def mean_distance(one: list[float], other: list[float]) -> float:
        return sum(abs(a - b) for a in one for b in other) / len(one) / len(other)

    def divergence(at: int) -> float:
        x, y = values[:at], values[at:]
        m, n = len(x), len(y)
        within = mean_distance(x, x) * m / (m - 1) + mean_distance(y, y) * n / (n - 1)
        return m * n / (m + n) * (2 * mean_distance(x, y) - within)

    allowed = range(SHORTEST, len(values) - SHORTEST + 1)
    assert best_split(values) == max(allowed, key=divergence)
