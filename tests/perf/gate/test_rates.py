"""The gate's error rates, on noise that was really measured. Seeded: they are the same every time.

The long campaign prints the table of docs/gate.md:
pytest tests/perf/gate/test_rates.py -m slow -s
"""

from dataclasses import replace

import pytest

from pytest_fleetq.perf.gate.judging import Verdict
from tests.perf.gate.campaign import (
    CHANGES,
    COURSE,
    SAME,
    Source,
    rate,
    real_noise,
    recorded,
    synthetic_noise,
    table,
)

QUICK = replace(COURSE, resamples=200)
BY_NAME = {change.name: change for change in CHANGES}
SOURCES = pytest.mark.parametrize(
    "source", [real_noise, synthetic_noise], ids=["real", "synthetic"]
)


def test_the_recording_is_of_real_noise() -> None:
    assert len(recorded()) >= 400


@SOURCES
def test_the_same_code_is_no_regression(source: Source) -> None:
    assert rate(SAME, 60, source, course=QUICK).share <= 0.02


@SOURCES
@pytest.mark.parametrize(("percent", "least"), [(20, 0.75), (30, 0.9)])
def test_slowdowns_in_cpu_time_are_found(source: Source, percent: int, least: float) -> None:
    change = BY_NAME[f"CPU per step +{percent} %"]
    found = rate(change, 40, source, course=QUICK)
    assert found.share >= least
    assert found.verdicts[Verdict.PASS] == 0


@SOURCES
@pytest.mark.parametrize(
    "what",
    [
        "one more fsync per commit",
        "one more SQL statement per step",
        "one more rpc per step",
    ],
)
def test_more_of_what_is_counted_is_found_every_time(source: Source, what: str) -> None:
    found = rate(BY_NAME[what], 40, source, course=QUICK)
    assert found.share == 1
    assert found.mean_pairs == 6


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_long_campaign() -> None:
    trials = 2000
    print()
    for line in table(300):
        print(line, flush=True)
    for source in (real_noise, synthetic_noise):
        assert rate(SAME, trials, source).share <= 0.02
        assert rate(BY_NAME["CPU per step +20 %"], trials, source).share >= 0.75
        assert rate(BY_NAME["CPU per step +30 %"], trials, source).share >= 0.9
