"""`fleetq bench` and the script that is the same: names, files it writes, what it refuses."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fleetq_server.bench.report import Line, Report, at_least
from fleetq_server.cli.main import main
from pytest_fleetq.perf import baselines, fingerprint
from pytest_fleetq.perf.bench.command import KNOWN, STANDARD, exit_code, names_of
from pytest_fleetq.perf.results import Results

pytestmark = pytest.mark.commands

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "benchmark_performance.py"
PNG = b"\x89PNG\r\n\x1a\n"
SMALL = ["--steps", "40", "--pods", "1", "--rounds", "1"]


def fleetq(*words: str) -> Result:
    return CliRunner().invoke(main, ["bench", *words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run of the script leaves, with everything it can write."""
    made = tmp_path_factory.mktemp("bench")
    outputs = ["--output", "r.json", "--csv", "r.csv", "--plot", "r.png", "--save", "stored"]
    command = [sys.executable, str(SCRIPT), "--benchmark", "concurrent", *SMALL, *outputs]
    ran = subprocess.run(command, cwd=made, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "one pod" in ran.stdout
    return made


def test_the_json_is_as_the_guide_shows_it_and_says_what_the_figures_depend_on(
    folder: Path,
) -> None:
    document = json.loads((folder / "r.json").read_text())
    configuration = document["configuration"]
    assert document["timestamp"]
    assert configuration["num_pods"] == 1
    assert configuration["system_info"]["cpu_count"] > 0
    assert configuration["system_info"]["memory_total_gb"] > 0
    assert configuration["versions"].keys() >= {"python", "pytest-fleetq", "sqlite", "grpcio"}
    assert configuration["seed"] == 1
    assert configuration["fsync_ms"] > 0
    assert "commit" in configuration
    [benchmark] = document["benchmarks"]
    assert benchmark["benchmark_name"] == "concurrent_processing"
    assert benchmark["success"] is True
    metrics = benchmark["metrics"]
    assert metrics.keys() >= {"throughput_ops_per_sec", "average_latency_ms", "memory_usage_mb"}
    throughput, raw = metrics["throughput_ops_per_sec"], benchmark["raw"]["throughput_ops_per_sec"]
    assert benchmark["ratio"]["throughput_ops_per_sec"] == pytest.approx(throughput / raw)


def test_its_results_are_those_a_gate_and_a_trend_read(folder: Path) -> None:
    written = Results.load(folder / "r.json")
    [kept] = baselines.load(folder / "stored")
    assert kept == written
    machine = fingerprint.identity(fingerprint.take())
    assert (folder / "stored" / "concurrent_processing" / f"{machine}.jsonl").exists()
    trend = CliRunner().invoke(main, ["trend", str(folder / "stored"), "--json"])
    series = {one["metric"] for one in json.loads(trend.stdout)["series"]}
    assert series >= {"throughput_ops_per_sec", "throughput_ops_per_sec / raw"}


def test_the_csv_has_every_figure_and_the_picture_is_one(folder: Path) -> None:
    with (folder / "r.csv").open(newline="") as file:
        rows = {row["metric"]: float(row["value"]) for row in csv.DictReader(file)}
    [benchmark] = Results.load(folder / "r.json").benchmarks
    assert rows == benchmark.metrics
    assert (folder / "r.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("name", "benchmark", "found"),
    [
        ("standard", None, STANDARD),
        (None, "all", STANDARD),
        ("all", None, KNOWN),
        (None, "recovery", ("recovery",)),
        ("cycle", None, ("cycle",)),
    ],
)
def test_a_benchmark_is_named_in_two_ways(
    name: str | None, benchmark: str | None, found: Any
) -> None:
    assert tuple(names_of(name, benchmark)) == found


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give one benchmark, by NAME: claiming, cycle"),
        (["cycle", "--benchmark", "all"], "give one benchmark"),
        (["sprint"], "'sprint' is not one of"),
        (["claiming", "--profile", "a", "--save", "b"], "profiled pods are slower"),
        (["proxy", "--profile"], "bench proxy measures the start of pods only"),
        (["claiming", "--output", "nowhere/r.json"], "there is no folder nowhere"),
        (["standard", "--store", "postgresql://nowhere/x"], "bench resource: not over --store"),
        (["resource", "--store", "postgresql://nowhere/x"], "bench resource: not over --store"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_measured(
    words: list[str], told: str
) -> None:
    ran = fleetq(*words)
    assert ran.exit_code == 2, ran.output
    assert told in ran.stderr
    assert ran.stdout == ""


def test_a_missed_target_fails_only_who_checks_and_a_lost_step_everybody() -> None:
    good = Report("x", [Line("", "", [1.0], target=at_least(0.5))], [])
    missed = Report("x", [Line("", "", [0.1], target=at_least(0.5))], [])
    lost = Report("x", [], ["default/x: counter pending says 1"])
    assert [exit_code([good, each], check=False) for each in (good, missed, lost)] == [0, 0, 1]
    assert [exit_code([good, each], check=True) for each in (good, missed, lost)] == [0, 1, 1]


def test_a_picture_without_matplotlib_is_refused_before_anything_is_measured() -> None:
    program = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from fleetq_server.cli.main import main\n"
        "main(['bench', 'concurrent', '--plot', 'p.png'])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 2, ran.stderr
    assert "pip install 'pytest-fleetq[plot]'" in ran.stderr


def test_a_benchmark_that_failed_is_told_and_kept_nowhere(tmp_path: Path) -> None:
    wrong = ["backlog", "--steps", "100", "--rounds", "9"]
    ran = fleetq(*wrong, "--json", "--save", str(tmp_path / "stored"))
    assert ran.exit_code == 1, ran.output
    [failed] = Results.from_json(ran.stdout, "stdout").benchmarks
    assert (failed.success, failed.metrics) == (False, {})
    [document] = json.loads(ran.stdout)["benchmarks"]
    assert document["problems"] == [
        "not measured: too few steps are pending: give more --steps or fewer --rounds"
    ]
    assert not (tmp_path / "stored").exists()
