"""What a budget can be about: each metric with its unit and what it is measured of."""

from collections.abc import Mapping
from enum import StrEnum, auto
from typing import NamedTuple


class About(StrEnum):
    CALLS = auto()  # calls of clients, and the steps they submit
    PODS = auto()
    RECOVERY = auto()
    FLEET = auto()


class Sort(StrEnum):
    """Of amounts; what is measured is in the first unit of each."""

    TIME = auto()
    RATE = auto()
    SHARE = auto()
    BYTES = auto()
    GROWTH = auto()
    NUMBER = auto()


UNITS: Mapping[Sort, Mapping[str, float]] = {
    Sort.TIME: {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0},
    Sort.RATE: {"/s": 1.0, "/min": 1 / 60},
    Sort.SHARE: {"%": 1.0},
    Sort.BYTES: {"B": 1.0, "KB": 2.0**10, "MB": 2.0**20, "GB": 2.0**30},
    Sort.GROWTH: {"B/s": 1.0, "KB/s": 2.0**10, "MB/s": 2.0**20, "KB/min": 2.0**10 / 60,
                  "MB/min": 2.0**20 / 60},
    Sort.NUMBER: {"": 1.0},
}  # fmt: skip


class Metric(NamedTuple):
    sort: Sort
    about: About


METRICS: Mapping[str, Metric] = {
    "mean": Metric(Sort.TIME, About.CALLS),
    "max": Metric(Sort.TIME, About.CALLS),
    "throughput": Metric(Sort.RATE, About.CALLS),
    "success_rate": Metric(Sort.SHARE, About.CALLS),
    "errors": Metric(Sort.NUMBER, About.CALLS),
    "cpu": Metric(Sort.SHARE, About.PODS),
    "cpu_peak": Metric(Sort.SHARE, About.PODS),
    "rss_peak": Metric(Sort.BYTES, About.PODS),
    "rss_growth": Metric(Sort.BYTES, About.PODS),
    "rss_slope": Metric(Sort.GROWTH, About.PODS),
    "fds": Metric(Sort.NUMBER, About.PODS),
    "threads": Metric(Sort.NUMBER, About.PODS),
    "cpu_per_step": Metric(Sort.TIME, About.FLEET),
    "recovery": Metric(Sort.TIME, About.RECOVERY),
    "detected": Metric(Sort.TIME, About.RECOVERY),
    "rerun": Metric(Sort.TIME, About.RECOVERY),
    "steady": Metric(Sort.TIME, About.RECOVERY),
}
PERCENTILE = Metric(Sort.TIME, About.CALLS)
NAMES = ", ".join(("p50", "p95", "p99", "p99.9", *METRICS))

TOTAL, MACHINE = "total", "machine"  # of pods: all together, and in shares of the whole machine
EVERY_CALL = "calls"
RECOVERY = "recovery"
