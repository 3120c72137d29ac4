"""`fleetq bench` in small: what it reports, and that no step is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fleetq_server.bench.bench import NAMES, contributed
from fleetq_server.bench.fleet import problems
from fleetq_server.bench.raw import play, recorded
from fleetq_server.bench.recovery import Case, Times
from fleetq_server.bench.recovery import lines as recovery_lines
from fleetq_server.bench.registry import BENCHES
from fleetq_server.bench.report import (
    Line,
    Report,
    at_least,
    at_least_of_raw,
    at_most,
    latencies,
)
from fleetq_server.bench.seed import Mix, copy, fill
from fleetq_server.bench.workers import doubles
from fleetq_server.bench.writer import Writer, submission
from fleetq_server.cli.main import main
from fleetq_server.model import Counts, StepId
from fleetq_server.store.sqlite import SqliteReader
from pytest_fleetq.perf.bench.cluster import Times as Startup
from pytest_fleetq.perf.bench.cluster import lines as cluster_lines
from pytest_fleetq.perf.bench.proxy import lines as proxy_lines

SMALL = {
    "claiming": "--steps 1000 --pods 2 --rounds 1",
    "cycle": "--steps 1000 --rounds 1",
    "submits": "--duration 0.2 --rounds 1",
    "latency": "--duration 0.5",
    "recovery": "--steps 20 --pods 1 --rounds 1",
    "fairness": "--steps 5000 --pods 2 --duration 0.5",
    "backlog": "--steps 11000 --rounds 1",
    "memory": "--steps 1000",
    "resource": "--steps 60 --pods 1 --duration 0.6",
    "concurrent": "--steps 100 --pods 1 --rounds 1",
    "cluster": "--pods 1 --rounds 1",
    "proxy": "--steps 20 --rounds 2",
}
WITH_RAW = set(SMALL) - {"memory"}
CONDITIONS = {
    "cores",
    "python",
    "sqlite",
    "apsw",
    "grpcio",
    "protobuf",
    "fsync_ms",
    "durability",
    "load_average",
    "file_system",
    "seed",
}


def bench(name: str, directory: Path, sizes: str) -> dict[str, Any]:
    words = ["bench", name, "--json", "--directory", str(directory), *sizes.split()]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    [document] = found["benchmarks"]
    return dict(document)


def is_reached(line: dict[str, Any]) -> bool:
    """From the target's own words."""
    sign, limit, *what = line["target"].split()
    measured = line["ratio"] if what[:1] == ["of"] and what[1:] == ["raw"] else line["value"]
    bound = float(limit.replace(",", ""))
    return bool(measured >= bound if sign == "≥" else measured <= bound)


@pytest.mark.commands
@pytest.mark.parametrize("name", SMALL)
def test_a_benchmark_reports_figures_beside_the_raw_limit_and_loses_no_step(
    name: str, tmp_path: Path
) -> None:
    report = bench(name, tmp_path, SMALL[name])
    assert report["bench"] == name
    assert report["problems"] == []
    assert report["conditions"].keys() >= CONDITIONS
    for line in report["lines"]:
        assert line["samples"]
        assert (line["raw"] is None) == (line["ratio"] is None)
        assert line["reached"] is (is_reached(line) if line["target"] else None), line
    assert report["metrics"] == {line["metric"]: line["value"] for line in report["lines"]}
    assert any(line["target"] for line in report["lines"])
    assert any(line["raw"] for line in report["lines"]) == (name in WITH_RAW)
    assert not list(tmp_path.iterdir()), "it cleans up behind itself"


def test_every_benchmark_has_a_name_on_the_command_line_and_is_tried_here() -> None:
    assert tuple(BENCHES) == NAMES
    assert SMALL.keys() == {*NAMES, *contributed()}


@pytest.mark.parametrize(("slowest", "reached"), [(0.69, True), (0.75, False)])
def test_a_proxy_may_add_three_tenths_of_a_millisecond(slowest: float, reached: bool) -> None:
    through, added = proxy_lines([(0.3, 0.4), (0.4, slowest), (5.0, 5.9)])
    assert added.value == pytest.approx(slowest - 0.4), "the median round"
    assert added.reached is reached
    assert through.ratio == pytest.approx(4 / 3)


def test_fifty_pods_must_be_ready_in_two_seconds_and_fewer_need_not() -> None:
    times = [Startup(1900, 100), Startup(2100, 100), Startup(2050, 100)]
    ready, ended = cluster_lines(50, times, [], at_most(2000), None)
    assert (ready.value, ready.reached) == (2050, False)
    assert (ended.value, ended.reached) == (100, None)


def counts(path: Path) -> Counts:
    reader = SqliteReader(path)
    totals = reader.stats().totals
    reader.close()
    return totals


def test_the_raw_limit_does_to_a_copy_what_the_store_did(tmp_path: Path) -> None:
    base, live, raw = (tmp_path / name for name in ("base.db", "live.db", "raw.db"))
    fill(base, 250, paused=False)
    with recorded() as tape, Writer(copy(base, live)) as writer:
        writer.turn([submission(1, 30)], claim=100)
        while writer.turn(claim=100):
            pass
    assert play(copy(base, raw), tape) > 0
    assert counts(live).completed == 280
    assert counts(raw) == counts(live)
    assert not problems(raw)


def test_seeded_steps_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "seeded.db"
    fill(path, 1000, mix=Mix(finished=50, scheduled=20), seed=7)
    found = counts(path)
    assert found.submitted == found.completed + found.scheduled + found.pending == 1000
    assert found.completed == pytest.approx(500, abs=100)
    assert found.scheduled == pytest.approx(200, abs=100)
    assert not problems(path)


def test_a_ratio_is_taken_round_by_round() -> None:
    drifting = Line("", "steps/s", [50, 10, 60], [100, 20, 100], at_least_of_raw(0.5))
    assert drifting.ratio == 0.5
    assert drifting.reached
    assert drifting.document()["target"] == "≥ 0.5 of raw"


@pytest.mark.parametrize(
    ("line", "reached"),
    [
        (Line("", "ms", [1, 2, 3], target=at_most(2)), True),
        (Line("", "ms", [1, 2, 3], target=at_most(2), summary=max), False),
        (Line("", "", [0.79], target=at_least(0.8)), False),
        (Line("", "", [0.1]), None),
    ],
)
def test_a_target_is_compared_with_the_summary(line: Line, reached: bool | None) -> None:
    assert line.reached is reached


def test_a_claim_given_twice_and_a_step_never_claimed_are_told() -> None:
    one, two, three = StepId(1), StepId(2), StepId(3)
    assert doubles([one, three, two], 3) == []
    assert doubles([one, three, one], 3) == [
        "step 1 was claimed 2 times",
        "2 of 3 steps were claimed",
    ]


def test_a_step_that_does_not_run_again_is_no_success_of_a_recovery() -> None:
    times = [Times(1, 2, 100.0, 3), Times(1, 2, 99.8, 250)]
    _, _, preserved, growth = recovery_lines(Case(500, False), times, [], all_within=300)
    assert (preserved.name, preserved.value) == ("recovery_success_rate", 99.8)
    assert (preserved.reached, growth.reached) == (False, False)


def test_percentiles_are_named_only_if_there_are_enough_samples() -> None:
    few, many = Line("", "ms", range(1, 20)), Line("", "ms", range(1, 102))
    assert few.percentiles == {}
    assert many.percentiles == {"p50": 51, "p90": 91, "p95": 96, "p99": 100}
    assert [line.name for line in latencies("x", range(20), 5, "x")] == [
        "average_x_ms", "p50_x_ms", "p90_x_ms", "p95_x_ms",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (Line("submit to start, p50", "ms", [1]), "submit_to_start_p50_ms"),
        (Line("4 pods together", "steps/s", [1]), "4_pods_together_per_sec"),
        (Line("x", "MB", [1], metric="memory_usage_mb"), "memory_usage_mb"),
    ],
)
def test_a_figure_has_a_name_for_programs(line: Line, name: str) -> None:
    assert line.name == name


def test_a_lost_step_spoils_every_figure() -> None:
    good = Line("", "", [1.0], target=at_least(0.5))
    assert Report("x", [good], []).reached
    assert not Report("x", [good], ["default/x: counter pending says 1"]).reached
