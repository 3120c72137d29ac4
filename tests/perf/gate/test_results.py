"""The document that benchmarks write."""

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq.perf import fingerprint
from pytest_fleetq.perf.errors import BadResults
from pytest_fleetq.perf.metrics import Better, Judging, judging_of
from pytest_fleetq.perf.results import Benchmark, Configuration, Results, SystemInfo

GUIDE: dict[str, Any] = {
    "timestamp": "2024-01-15T10:30:00",
    "configuration": {"num_pods": 5, "system_info": {"cpu_count": 8, "memory_total_gb": 16.0}},
    "benchmarks": [
        {
            "benchmark_name": "step_claiming",
            "metrics": {
                "claiming_throughput_ops_per_sec": 45.2,
                "average_latency_ms": 22.1,
                "memory_usage_mb": 125.3,
            },
            "success": True,
        }
    ],
}
FULL = Results(
    "2026-01-15T10:30:00+00:00",
    Configuration(
        3,
        SystemInfo(2, 23.5),
        {"python": "3.12.1"},
        "1f0c",
        7,
        0.8,
        {"cpu": "Z80", "cores": 1},
    ),
    (
        Benchmark(
            "cycle",
            {"cpu_seconds_per_step": 5e-5},
            True,
            {"fsyncs_per_step": 0.03},
            {"cpu_seconds_per_step": 4e-5},
            {"cpu_seconds_per_step": 1.25},
            {"steps": 1000},
            {"depth": Judging(Better.LOWER, primary=True, min_effect=0.2)},
        ),
    ),
)


def changed(path: str, value: object) -> str:
    """The guide's document with another value at a dotted path; ... takes it away."""
    document = json.loads(json.dumps(GUIDE))
    *parents, last = path.split(".")
    place: Any = document
    for name in parents:
        place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
    if value is ...:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return json.dumps(document)


def test_the_guides_example_is_read() -> None:
    results = Results.from_json(json.dumps(GUIDE), "guide.json")
    assert results.configuration.num_pods == 5
    assert results.configuration.system_info == SystemInfo(8, 16.0)
    (benchmark,) = results.benchmarks
    assert benchmark.success
    assert benchmark.metrics["average_latency_ms"] == 22.1


def test_what_is_written_is_read_back() -> None:
    assert Results.from_json(FULL.to_json(), "x") == FULL
    assert Results.from_json(FULL.to_json(indent=None), "x") == FULL


def test_fields_of_others_are_ignored() -> None:
    assert Results.from_json(changed("benchmarks.0.colour", "red"), "x").benchmarks


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "r.json: is not JSON: Expecting"),
        ("[]", "r.json: expected an object, got []"),
        (changed("timestamp", ...), "r.json: timestamp: is missing"),
        (
            changed("timestamp", "yesterday"),
            "r.json: timestamp: expected ISO 8601, got 'yesterday'",
        ),
        (changed("benchmarks", ...), "r.json: benchmarks: is missing"),
        (changed("benchmarks", {}), "r.json: benchmarks: expected an array, got {}"),
        (
            changed("benchmarks.0.benchmark_name", 3),
            "r.json: benchmarks[0].benchmark_name: expected text, got 3",
        ),
        (
            changed("benchmarks.0.metrics", {}),
            "r.json: benchmarks[0].metrics: is missing or empty, and so is counts",
        ),
        (
            changed("benchmarks.0.metrics.average_latency_ms", "22"),
            "r.json: benchmarks[0].metrics.average_latency_ms: expected a finite number, got '22'",
        ),
        (
            changed("benchmarks.0.metrics.average_latency_ms", float("nan")),
            "r.json: benchmarks[0].metrics.average_latency_ms: expected a finite number, got nan",
        ),
        (
            changed("benchmarks.0.counts", {"average_latency_ms": 1}),
            "r.json: benchmarks[0].counts.average_latency_ms: is among metrics as well",
        ),
        (
            changed("benchmarks.0.success", "yes"),
            "r.json: benchmarks[0].success: expected true or false, got 'yes'",
        ),
        (
            changed("benchmarks", [GUIDE["benchmarks"][0]] * 2),
            "r.json: benchmarks: 'step_claiming' is there more than once",
        ),
        (
            changed("configuration.num_pods", 2.5),
            "r.json: configuration.num_pods: expected a whole number, got 2.5",
        ),
        (
            changed("configuration.fingerprint", {"cpu": [1]}),
            "r.json: configuration.fingerprint.cpu: expected text or a whole number, got [1]",
        ),
        (
            changed("benchmarks.0.judging", {"x": {"better": "faster"}}),
            "r.json: benchmarks[0].judging.x.better: expected lower or higher, got 'faster'",
        ),
        (
            changed("benchmarks.0.judging", {"x": {"better": "lower", "worse": 1}}),
            "r.json: benchmarks[0].judging.x.worse: unknown; there is better, primary, min_effect",
        ),
        (
            changed("benchmarks.0.judging", {"x": {"better": "lower", "min_effect": 0}}),
            "r.json: benchmarks[0].judging.x.min_effect: expected a share above 0, such as 0.05",
        ),
    ],
)
def test_bad_input_is_named_by_file_and_field(text: str, complaint: str) -> None:
    with pytest.raises(BadResults) as caught:
        Results.from_json(text, "r.json")
    assert str(caught.value).startswith(complaint)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("absent", "binary"):
        with pytest.raises(BadResults, match=f"{name}: cannot be read"):
            Results.load(tmp_path / name)


@pytest.mark.parametrize(
    ("metric", "better", "primary"),
    [
        ("cpu_seconds_per_step", Better.LOWER, True),
        ("cpu_ms_per_request", Better.LOWER, True),
        ("memory_usage_mb", Better.LOWER, True),
        ("rss_peak_mb", Better.LOWER, True),
        ("claiming_throughput_ops_per_sec", Better.HIGHER, True),
        ("submit_p50_ms", Better.LOWER, True),
        ("submit_p99_ms", Better.LOWER, False),
        ("latency_max_ms", Better.LOWER, False),
        ("average_latency_ms", Better.LOWER, False),
        ("memory_growth_mb", Better.LOWER, False),
        ("success_rate", Better.HIGHER, False),
    ],
)
def test_a_metrics_name_says_how_it_is_judged(metric: str, better: Better, primary: bool) -> None:
    judging = judging_of(metric)
    assert judging is not None
    assert (judging.better, judging.primary) == (better, primary)


def test_an_unknown_name_says_nothing_but_the_document_may() -> None:
    assert judging_of("depth") is None
    assert FULL.benchmarks[0].judging_of("depth") == Judging(Better.LOWER, True, 0.2)


def test_fingerprints_of_one_machine_are_equal_and_tell_their_differences() -> None:
    here = fingerprint.take()
    assert here == fingerprint.take()
    assert all(here.values())
    turned = dict(reversed(list(here.items())))
    other = {**here, "cores": 1024}
    assert fingerprint.identity(here) != fingerprint.identity(other)
    assert fingerprint.differences(here, other) == [f"cores: 1024, not {here['cores']}"]
    assert fingerprint.differences(here, turned) == []
    assert fingerprint.identity(here) == fingerprint.identity(turned)
