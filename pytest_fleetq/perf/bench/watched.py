"""What a measured fleet used, as lines of a report."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fleetq_server.bench.fleet import MEGABYTE, Fleet
from fleetq_server.bench.report import Line, Target, at_most
from pytest_fleetq.perf.measure import usage
from pytest_fleetq.perf.measure.phases import WHOLE
from pytest_fleetq.perf.measure.pods import Watch

MEMORY_AT_MOST, GROWTH_AT_MOST = 700, 200  # MB


class _Pod(NamedTuple):
    name: str
    pid: int
    alive: bool = True  # the watch is over before they end


class Watched:
    """What pods used between two moments."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    @property
    def cpu_seconds(self) -> float:
        return sum(map(usage.cpu_seconds, usage.usages(self._watch.runs, WHOLE).values()))

    def lines(self, cpu: Target | None = None) -> list[Line]:
        of_pods = usage.usages(self._watch.runs, WHOLE)
        total = usage.together(of_pods)
        machine = 1 / (os.cpu_count() or 1)
        peak, growth = usage.rss_peak(total) or 0.0, usage.rss_growth(total) or 0.0
        pods = [usage.rss_peak(each) or 0.0 for each in of_pods.values()]
        lines = [
            Line("memory of all pods, peak", "MB", [peak / MEGABYTE],
                 target=at_most(MEMORY_AT_MOST), metric="memory_usage_mb"),
            Line("memory of a pod, peak", "MB", [each / MEGABYTE for each in pods], summary=max,
                 metric="memory_per_pod_mb"),
            Line("growth of all pods", "MB", [growth / MEGABYTE], target=at_most(GROWTH_AT_MOST),
                 metric="memory_growth_mb"),
        ]  # fmt: skip
        average = usage.cpu(total)
        if average is not None:  # watched for long enough
            lines.append(
                Line("processor time of all pods", "% of the machine", [average * machine],
                     target=cpu, metric="average_cpu_percent")
            )  # fmt: skip
        return lines


@contextmanager
def watched(fleet: Fleet) -> Iterator[Watched]:
    """Watches the pods that run now, until the end of the block."""
    pods = [
        (name, _Pod(name, pod.pid))
        for number, pod in enumerate(fleet.pods.running)
        for name in [f"pod-{number}"]
    ]
    watch = Watch(lambda: pods)
    watch.look(around=True)
    watch.start()
    try:
        yield Watched(watch)
    finally:
        watch.stop()
