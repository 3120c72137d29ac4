"""Our statistics say what scipy's say of the same data."""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import product
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_fleetq.perf import statistics
from pytest_fleetq.perf.statistics import (
    bootstrap_ratio,
    holm,
    incomplete_beta,
    label_swap_p,
    quantile,
    ratio_of_medians,
    t_test_p,
)

scipy = pytest.importorskip("scipy")
numpy = pytest.importorskip("numpy")

SHIFTS = (0.0, 0.1, 0.3)
RATES = st.sampled_from([1.0, 2.0, 2.5, 3.0, 7.0])  # few, so that there are ties


def noisy_pairs(count: int, shift: float, seed: int) -> list[tuple[float, float]]:
    rng = Random(seed)
    return [
        (rng.lognormvariate(0, 0.2), rng.lognormvariate(0, 0.2) * (1 + shift)) for _ in range(count)
    ]


def scipys_ratio(first, second, axis):
    return numpy.median(second, axis=axis) / numpy.median(first, axis=axis)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("count", [1, 7, 10, 30, 45])
def test_p_is_that_of_scipys_exact_signed_rank_test(count: int, shift: float) -> None:
    pairs = noisy_pairs(count, shift, seed=count)
    logs = [math.log(second / first) for first, second in pairs]
    theirs = scipy.stats.wilcoxon(logs, alternative="greater", method="exact").pvalue
    assert label_swap_p(pairs) == pytest.approx(float(theirs), rel=1e-9)


@settings(max_examples=50)
@given(st.lists(st.tuples(RATES, RATES), min_size=1, max_size=6))
def test_p_is_the_share_of_swaps_that_look_at_least_as_bad(
    pairs: list[tuple[float, float]],
) -> None:
    def badness(ways: Iterable[bool]) -> float:
        swapped = [p[::-1] if way else p for p, way in zip(pairs, ways, strict=True)]
        logs = [math.log(second) - math.log(first) for first, second in swapped]
        ranks = scipy.stats.rankdata([abs(value) for value in logs])
        return float(sum(rank for rank, value in zip(ranks, logs, strict=True) if value > 0))

    every = [badness(ways) for ways in product((False, True), repeat=len(pairs))]
    expected = sum(bad >= every[0] for bad in every) / len(every)
    assert label_swap_p(pairs) == pytest.approx(expected)


def test_p_does_not_depend_on_the_unit() -> None:
    pairs = noisy_pairs(10, 0.2, seed=2)
    assert label_swap_p(pairs) == label_swap_p([(1e-7 * a, 1e-7 * b) for a, b in pairs])


def test_equal_runs_have_a_p_of_one_and_runs_that_never_vary_the_smallest() -> None:
    assert label_swap_p([(0.1 + 0.2, 0.1 + 0.2)] * 30) == 1
    assert label_swap_p([(10, 16)] * 10) == 2**-10


@pytest.mark.parametrize("count", [10, 20])
def test_without_a_difference_small_p_are_as_rare_as_they_say(count: int) -> None:
    small = sum(label_swap_p(noisy_pairs(count, 0, seed)) <= 0.05 for seed in range(1000))
    # 1000 × 0.05 are 50, with a standard deviation of 6.9.
    assert 25 <= small <= 75


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_bootstrap_interval_is_scipys(shift: float) -> None:
    pairs = noisy_pairs(21, shift, seed=3)
    theirs = scipy.stats.bootstrap(
        list(zip(*pairs, strict=True)),
        scipys_ratio,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=10_000,
        rng=numpy.random.default_rng(1),
    ).confidence_interval
    ours = bootstrap_ratio(pairs, Random(1))
    assert ours.low == pytest.approx(theirs.low, rel=0.03)
    assert ours.high == pytest.approx(theirs.high, rel=0.03)
    assert ours.low <= ratio_of_medians(pairs) <= ours.high


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        interval = bootstrap_ratio(noisy_pairs(20, 0.1, seed), Random(seed), resamples=500)
        held += interval.low <= 1.1 <= interval.high
    # 190 of 200 would be nominal; the percentile bootstrap of a median is known to be a bit wide.
    assert held >= 180


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=40),
    st.floats(0, 1),
)
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    ours = quantile(sorted(values), share)
    assert ours == pytest.approx(float(numpy.quantile(values, share)), abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_stepping_down_by_definition_does(p: list[float], alpha: float) -> None:
    expected: Counter[float] = Counter()
    for rank, value in enumerate(sorted(p)):
        if value > alpha / (len(p) - rank):
            break
        expected[value] += 1
    rejected = Counter(
        value for value, is_rejected in zip(p, holm(p, alpha), strict=True) if is_rejected
    )
    assert rejected == expected


@given(
    st.floats(0.5, 400),
    st.floats(0.5, 400),
    st.floats(0, 1),
)
def test_the_incomplete_beta_function_is_scipys(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(
        float(scipy.special.betainc(a, b, x)), abs=1e-10
    )


@pytest.mark.parametrize(
    ("sizes", "shift"), [((5, 5), 0.1), ((5, 40), 0.3), ((1, 9), 0), ((30, 30), 2)]
)
def test_the_t_test_is_scipys(sizes: tuple[int, int], shift: float) -> None:
    rng = Random(7)
    one, other = ([rng.gauss(shift * i, 1) for _ in range(n)] for i, n in enumerate(sizes))
    theirs = scipy.stats.ttest_ind(one, other).pvalue
    assert t_test_p(one, other) == pytest.approx(float(theirs), rel=1e-9)


def test_the_t_test_of_constants_is_certain() -> None:
    assert t_test_p([1, 1, 1], [1, 1]) == 1
    assert t_test_p([1, 1, 1], [2, 2]) == 0


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=31))
def test_the_quick_median_is_the_median(values: list[float]) -> None:
    assert statistics._middle(list(values)) == pytest.approx(median(values))
