"""Histograms against numpy's exact figures, for anything and for latencies as scipy draws them."""

from random import Random

import numpy
import pytest
import scipy
from hypothesis import given
from hypothesis import strategies as st

from pytest_fleetq.perf.histogram import RELATIVE_ERROR, Histogram

durations = st.lists(st.floats(0, 10_000), min_size=1, max_size=300)
percents = st.floats(0.1, 100)


def near(exact: float) -> object:
    # One nanosecond more: that is how finely durations are kept.
    return pytest.approx(exact, rel=RELATIVE_ERROR, abs=1e-9)


@given(durations, percents)
def test_percentiles_are_within_the_stated_error_of_exact_ones(
    values: list[float], percent: float
) -> None:
    exact = numpy.percentile(values, percent, method="inverted_cdf")
    assert Histogram(values).percentile(percent) == near(exact)


@pytest.mark.parametrize("distribution", ["lognorm", "pareto", "expon"])
def test_percentiles_of_many_latencies_are_within_the_stated_error(distribution: str) -> None:
    shape = {"lognorm": (1.5,), "pareto": (1.2,), "expon": ()}[distribution]
    # A number of which no share is whole, for there numpy rounds as its floats happen to fall.
    drawn = getattr(scipy.stats, distribution).rvs(
        *shape, scale=0.003, size=199_999, random_state=7
    )
    found = Histogram(drawn.tolist())
    for percent in (50, 90, 95, 99, 99.9, 99.99):
        exact = numpy.percentile(drawn, percent, method="inverted_cdf")
        assert found.percentile(percent) == near(exact)
    assert found.mean == pytest.approx(drawn.mean(), rel=1e-6)
    assert found.max == pytest.approx(drawn.max(), abs=1e-9)


def test_a_percentile_is_no_less_when_more_is_asked() -> None:
    rng = Random(7)
    found = Histogram(rng.expovariate(100) for _ in range(5000))
    shown = [found.percentile(percent / 10) for percent in range(1, 1001)]
    assert shown == sorted(shown)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing in it"):
        Histogram().percentile(50)
    with pytest.raises(ValueError, match="is no duration"):
        Histogram([-0.5])
