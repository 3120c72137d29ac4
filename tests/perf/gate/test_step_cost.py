"""`ci/step_cost.py`, the benchmark that this project's own gate runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fleetq.perf import baselines, fingerprint
from pytest_fleetq.perf.results import Benchmark, Results

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "ci" / "step_cost.py"


def run(*words: str) -> str:
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def benchmark_of(results: Results) -> Benchmark:
    (benchmark,) = results.benchmarks
    return benchmark


def test_its_counts_are_the_same_every_time_and_its_figures_gate(tmp_path: Path) -> None:
    assert run("--output", str(tmp_path / "results.json")) == ""
    one = Results.load(tmp_path / "results.json")
    other = Results.from_json(run(), "stdout")
    counts = benchmark_of(one).counts
    assert counts == benchmark_of(other).counts
    assert counts.keys() == {
        "sql_statements_per_step", "commits_per_step", "fsyncs_per_step", "rpcs_per_step",
    }  # fmt: skip
    assert 0 < counts["rpcs_per_step"] < 1, "calls travel together"
    assert counts["fsyncs_per_step"] >= counts["commits_per_step"] > 0, "each commit is synced"
    for name, value in benchmark_of(one).metrics.items():
        judging = benchmark_of(one).judging_of(name)
        assert judging is not None
        assert judging.primary
        assert value > 0
    assert one.configuration.fingerprint == fingerprint.take()


def test_its_results_can_be_kept(tmp_path: Path) -> None:
    run("--save", str(tmp_path / "stored"))
    (kept,) = baselines.load(tmp_path / "stored")
    assert benchmark_of(kept).benchmark_name == "step_cost"
    assert kept.configuration.versions["apsw"]
