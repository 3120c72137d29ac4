import math
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.backoff import jittered, retry_delay
from fleetq_server.model import RetryPolicy

SECONDS = st.floats(0, 1e300)
POLICIES = st.builds(
    RetryPolicy,
    initial_delay=SECONDS,
    multiplier=st.floats(0, 1e6),
    max_delay=SECONDS,
    jitter=st.floats(0, 1),
)


@pytest.mark.parametrize(
    ("failures", "delay"), [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (5000, 60.0)]
)
def test_delays_double_up_to_the_cap(failures: int, delay: float) -> None:
    policy = RetryPolicy(initial_delay=1, multiplier=2, max_delay=60, jitter=0)
    assert retry_delay(policy, failures, random.Random(0)) == delay


@given(POLICIES, st.integers(1, sys.maxsize), st.integers())
def test_a_delay_stays_within_jitter_of_the_cap(
    policy: RetryPolicy, failures: int, seed: int
) -> None:
    delay = retry_delay(policy, failures, random.Random(seed))
    assert math.isfinite(delay)
    assert 0 <= delay <= policy.max_delay * (1 + policy.jitter) * (1 + 1e-12)


@given(POLICIES, st.integers(1, 200))
def test_without_jitter_the_delay_is_the_documented_formula(
    policy: RetryPolicy, failures: int
) -> None:
    policy = RetryPolicy(
        initial_delay=policy.initial_delay,
        multiplier=policy.multiplier,
        max_delay=policy.max_delay,
        jitter=0,
    )
    try:
        growth = policy.multiplier ** (failures - 1)
    except OverflowError:
        growth = math.inf
    grown = policy.initial_delay * growth if policy.initial_delay else 0.0
    assert retry_delay(policy, failures, random.Random(0)) == min(policy.max_delay, grown)


@given(POLICIES, st.integers(1, 100), st.integers())
def test_one_seed_gives_one_delay(policy: RetryPolicy, failures: int, seed: int) -> None:
    first, second = (retry_delay(policy, failures, random.Random(seed)) for _ in range(2))
    assert first == second


@given(st.floats(0, 1e300), st.floats(0, 1), st.integers())
def test_jitter_spreads_evenly_around_and_never_below_zero(
    seconds: float, fraction: float, seed: int
) -> None:
    value = jittered(seconds, fraction, random.Random(seed))
    slack = seconds * 1e-12
    assert max(0, seconds * (1 - fraction) - slack) <= value <= seconds * (1 + fraction) + slack


def test_jitter_uses_its_whole_range() -> None:
    rng = random.Random(1)
    values = [jittered(10, 0.5, rng) for _ in range(1000)]
    assert min(values) < 5.1
    assert max(values) > 14.9
    assert abs(sum(values) / len(values) - 10) < 0.3
