"""What measuring costs: slices of work with the pods watched and without, in turns."""

import os
import time
from itertools import pairwise
from pathlib import Path
from random import Random
from statistics import mean, median
from typing import Any

import numpy
import pytest
import scipy

from pytest_fleetq.perf.measure.pods import LOOK_SECONDS, Watch

pytestmark = [pytest.mark.slow, pytest.mark.performance]

PAIRS = 40
STEPS = 800
WATCHES = 10  # at once: what one of them costs is less than the noise
ALLOWED = 0.03


@pytest.mark.timeout(180)
def test_being_watched_costs_no_more_than_three_percent_of_throughput(cluster, capsys) -> None:
    """Slices are short, so that a machine that is busy elsewhere is so for both of a pair."""
    fleet = cluster(
        2, handlers="tests.performance_handlers", cwd=Path(__file__).parents[3],
        config={"max_parallelism": 100},
    )  # fmt: skip
    watches = [_Watching(fleet) for _ in range(WATCHES)]
    rng = Random(7)
    rate_of(fleet, STEPS)
    ratios = []
    for _ in range(PAIRS):
        rates = {}
        for watched in rng.sample([True, False], 2):
            for watching in watches:
                watching.on = watched
            rates[watched] = rate_of(fleet, STEPS)
        ratios.append(rates[True] / rates[False])
    share = mean(watching.end() for watching in watches)
    found = scipy.stats.bootstrap((numpy.log(ratios),), numpy.median, random_state=7)
    low, high = numpy.exp(found.confidence_interval)
    cost, least, most = ((1 - ratio) / WATCHES for ratio in (median(ratios), high, low))
    with capsys.disabled():
        print(
            f"\nwatching costs {cost:.2%} of throughput (95 %: {least:.2%} … {most:.2%}), a tenth "
            f"of what {WATCHES} watches cost in {PAIRS} pairs of {STEPS} steps; {share:.2%} of the "
            "machine's processor time"
        )
    assert share <= ALLOWED
    assert most <= ALLOWED


class _Watching:
    """Can be switched off, and knows what it costs."""

    def __init__(self, fleet: Any) -> None:
        self.on = False
        self._pods = [(pod.name, pod) for pod in fleet.pods]
        self._looks: list[tuple[bool, float]] = []
        self._watch = Watch(self._ask)
        self._watch.start()

    def end(self) -> float:
        """→ the share of all processors' time that went into it, while it was on"""
        assert len(self._watch.runs) == len(self._pods)
        looks = list(self._looks)
        costs = [after - before for (on, before), (_, after) in pairwise(looks) if on]
        self._watch.stop()
        return mean(costs) / LOOK_SECONDS / (os.cpu_count() or 1)

    def _ask(self) -> Any:
        self._looks.append((self.on, time.thread_time()))  # of the thread that watches
        return self._pods if self.on else []


def rate_of(fleet: Any, number: int) -> float:
    """From the submit to the last completion."""
    begun = time.monotonic()
    steps = fleet.client.submit("work", [{"n": 1}] * number)
    assert fleet.client.wait(steps, timeout=60).completed == number
    return number / (time.monotonic() - begun)
