"""What was measured, for the report of a run and for JUnit."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pytest_fleetq.perf.budget.grammar import read_subject
from pytest_fleetq.perf.budget.verdict import tell
from pytest_fleetq.perf.measure import calls as of_calls
from pytest_fleetq.perf.measure.calls import SHOWN
from pytest_fleetq.perf.measure.history import Call
from pytest_fleetq.perf.measure.measure import Measured
from pytest_fleetq.perf.measure.phases import Phase
from pytest_fleetq.perf.measure.pods import Run
from pytest_fleetq.perf.measure.usage import rates
from pytest_fleetq.report.measurements import Budget, Measurements, Operation, Series

POINTS = 100  # of a curve
SHORTEST_BIN = 0.1
OF_PODS = ("cpu", "cpu_peak", "rss_peak", "fds", "threads")
OF_FLEET = ("throughput", "success_rate", "cpu_per_step", "recovery")


def measurements(measured: Measured, judged: Sequence[Budget], began: float) -> Measurements:
    """Args: `began`: of the history that times are to count from, on the monotonic clock."""
    curves = [*_curves_of_calls(measured, began), *_curves_of_pods(measured.runs, began)]
    return Measurements(tuple(judged), tuple(_operations(measured)), tuple(curves))


def figures(measured: Measured) -> Mapping[str, str]:
    """What is known of the usual subjects, each in words."""
    subjects = [f"{name}.p{p:g}" for name in measured.operations for p in SHOWN]
    found = {}
    for text in (*subjects, *OF_FLEET, *OF_PODS):
        subject = read_subject(text)
        reading = measured.read(subject)
        if reading.value is not None and math.isfinite(reading.value):
            found[text] = tell(reading, subject.metric.sort)
    return found


def _operations(measured: Measured) -> Iterator[Operation]:
    for name, calls in measured.operations.items():
        for phase_name in measured.phases.names:
            phase = measured.phases[phase_name]
            bad, count = of_calls.failed(calls, phase)
            if count:
                rate = of_calls.throughput(calls, phase).value
                yield Operation(name, count, phase_name, bad, rate, _latency(calls, phase))


def _latency(calls: Sequence[Call], phase: Phase) -> Mapping[str, float]:
    """Milliseconds."""
    found = of_calls.latencies(calls, phase)
    readings = {f"p{p:g}": of_calls.percentile(found, p) for p in SHOWN}
    readings |= {"mean": of_calls.mean(found), "max": of_calls.longest(found)}
    return {name: 1000 * one.value for name, one in readings.items() if one.value is not None}


def _curves_of_calls(measured: Measured, began: float) -> Iterator[Series]:
    for name, calls in measured.operations.items():
        first = min(call.start for call in calls)
        width = max(SHORTEST_BIN, (max(call.end for call in calls) - first) / POINTS)
        ends = Counter(int((call.end - first) / width) for call in calls)
        worst: dict[int, float] = {}
        for call in calls:
            place = int((call.start - first) / width)
            worst[place] = max(worst.get(place, 0.0), call.seconds)

        def middle(place: int, first: float = first, width: float = width) -> float:
            return round(first + (place + 0.5) * width - began, 3)

        rate = tuple((middle(n), ends[n] / width) for n in range(max(ends) + 1))
        slowest = tuple((middle(n), 1000 * worst[n]) for n in sorted(worst))
        yield Series(f"{name} rate", "/s", rate)
        yield Series(f"{name}.max", "ms", slowest)


def _curves_of_pods(runs: Sequence[Run], began: float) -> Iterator[Series]:
    for run in runs:
        cpu = tuple((round(at - began, 3), percent) for at, percent in rates(run.samples))
        yield Series("cpu", "%", cpu, run.pod)
        for name, unit, scale in (("rss", "MB", 2.0**20), ("fds", "", 1), ("threads", "", 1)):
            points = tuple(
                (round(sample.at - began, 3), getattr(sample, name) / scale)
                for sample in run.samples
            )
            yield Series(name, unit, points, run.pod)
