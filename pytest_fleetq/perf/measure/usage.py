"""What pods used, from the samples of their processes, in one phase of the test."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from pytest_fleetq.perf.measure.phases import Phase
from pytest_fleetq.perf.measure.pods import Run, Sample

BUSY_WINDOW_SECONDS = 1.0
LEAST_CPU_SECONDS = 0.5  # of watching; the kernel counts in hundredths
LEAST_SLOPE_SECONDS = 2.0
LEAST_SLOPE_SAMPLES = 10


class Usage(NamedTuple):
    """Of one process in one phase, or of all processes at once."""

    samples: tuple[Sample, ...]
    peak: int  # bytes


def usages(runs: Sequence[Run], phase: Phase) -> dict[str, list[Usage]]:
    """By pod: one for each of its processes."""
    found: dict[str, list[Usage]] = defaultdict(list)
    for run in runs:
        samples = tuple(sample for sample in run.samples if phase.covers(sample.at))
        if samples:
            # The kernel's peak has no time: it counts only where all of the test does.
            sampled = max(sample.rss for sample in samples)
            found[run.pod].append(Usage(samples, sampled if phase.name else run.rss_peak))
    return dict(found)


def together(found: Mapping[str, Sequence[Usage]]) -> list[Usage]:
    """All processes as if they were one: at each look the sum of those that were there."""
    looks: dict[float, list[tuple[int, Sample]]] = defaultdict(list)
    for number, usage in enumerate(each for some in found.values() for each in some):
        for sample in usage.samples:
            looks[sample.at].append((number, sample))
    begun: dict[int, float] = {}
    used: dict[int, float] = {}
    sums = []
    for at, seen in sorted(looks.items()):
        for number, sample in seen:
            used[number] = sample.cpu - begun.setdefault(number, sample.cpu)
        samples = [sample for _, sample in seen]
        sums.append(_sum(at, sum(used.values()), samples))
    return [Usage(tuple(sums), max(each.rss for each in sums))] if sums else []


def _sum(at: float, cpu: float, samples: Sequence[Sample]) -> Sample:
    return Sample(
        at, cpu, sum(s.rss for s in samples), sum(s.fds for s in samples),
        sum(s.threads for s in samples),
    )  # fmt: skip


def cpu_seconds(of_pod: Sequence[Usage]) -> float:
    return sum(each.samples[-1].cpu - each.samples[0].cpu for each in of_pod)


def watched_seconds(of_pod: Sequence[Usage]) -> float:
    return sum(each.samples[-1].at - each.samples[0].at for each in of_pod)


def cpu(of_pod: Sequence[Usage]) -> float | None:
    """Percent of one processor, on average."""
    seconds = watched_seconds(of_pod)
    return None if seconds < LEAST_CPU_SECONDS else 100 * cpu_seconds(of_pod) / seconds


def cpu_peak(of_pod: Sequence[Usage]) -> float | None:
    """Percent of one processor, in its busiest second."""
    found = [busy for each in of_pod for busy in _busy(each.samples)]
    return max(found) if found else None


def rss_peak(of_pod: Sequence[Usage]) -> float | None:
    return max((each.peak for each in of_pod), default=None)


def rss_growth(of_pod: Sequence[Usage]) -> float | None:
    """From when it was first seen up to its peak, in bytes."""
    return max((each.peak - each.samples[0].rss for each in of_pod), default=None)


def rss_slope(of_pod: Sequence[Usage]) -> float | None:
    """Bytes a second, of the straight line that fits best."""
    slopes = [_slope(each.samples) for each in of_pod if _enough_for_slope(each.samples)]
    return max(slopes) if slopes else None


def fds(of_pod: Sequence[Usage]) -> float | None:
    return max((sample.fds for each in of_pod for sample in each.samples), default=None)


def threads(of_pod: Sequence[Usage]) -> float | None:
    return max((sample.threads for each in of_pod for sample in each.samples), default=None)


USAGE: dict[str, Callable[[Sequence[Usage]], float | None]] = {
    "cpu": cpu, "cpu_peak": cpu_peak, "rss_peak": rss_peak, "rss_growth": rss_growth,
    "rss_slope": rss_slope, "fds": fds, "threads": threads,
}  # fmt: skip
NEEDS = {
    "cpu": f"{LEAST_CPU_SECONDS:g} s of watching",
    "cpu_peak": f"{BUSY_WINDOW_SECONDS:g} s of watching",
    "rss_slope": f"{LEAST_SLOPE_SECONDS:g} s of watching and {LEAST_SLOPE_SAMPLES} looks",
}


def _busy(samples: Sequence[Sample]) -> list[float]:
    """Percent of one processor in each second that ends with a sample."""
    found, begin = [], 0
    for number, end in enumerate(samples):
        while begin < number and samples[begin + 1].at <= end.at - BUSY_WINDOW_SECONDS:
            begin += 1
        took = end.at - samples[begin].at
        if took >= BUSY_WINDOW_SECONDS:
            found.append(100 * (end.cpu - samples[begin].cpu) / took)
    return found


def _enough_for_slope(samples: Sequence[Sample]) -> bool:
    lasted = samples[-1].at - samples[0].at
    return len(samples) >= LEAST_SLOPE_SAMPLES and lasted >= LEAST_SLOPE_SECONDS


def _slope(samples: Sequence[Sample]) -> float:
    mean_at = sum(sample.at for sample in samples) / len(samples)
    mean_rss = sum(sample.rss for sample in samples) / len(samples)
    spread = sum((sample.at - mean_at) ** 2 for sample in samples)
    return sum((s.at - mean_at) * (s.rss - mean_rss) for s in samples) / spread


def rates(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Percent of one processor from look to look."""
    return [
        (after.at, 100 * (after.cpu - before.cpu) / (after.at - before.at))
        for before, after in pairwise(samples)
        if after.at > before.at
    ]
