"""How long to wait before trying again."""

import math
import random

from fleetq_server.model import RetryPolicy


def retry_delay(policy: RetryPolicy, failures: int, rng: random.Random) -> float:
    """Seconds from the `failures`-th failure (1 is the first) to the next attempt."""
    return jittered(_capped(policy, max(1, failures)), policy.jitter, rng)


def jittered(seconds: float, fraction: float, rng: random.Random) -> float:
    """`seconds` spread evenly over ± `fraction` of it; never negative."""
    return max(0.0, seconds * (1.0 + rng.uniform(-fraction, fraction)))


def _capped(policy: RetryPolicy, failures: int) -> float:
    if policy.initial_delay == 0:
        return 0.0  # also where the growth is infinite, which would make it 0 × ∞
    return min(policy.max_delay, policy.initial_delay * _growth(policy.multiplier, failures - 1))


def _growth(multiplier: float, steps: int) -> float:
    try:
        return float(multiplier) ** steps
    except OverflowError:
        return math.inf
