"""`fleetq bench` in small: what it reports, and that no step is lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fleetq_server.bench.fleet import problems
from fleetq_server.bench.raw import play, recorded
from fleetq_server.bench.registry import BENCHES
from fleetq_server.bench.report import Line, Report, at_least, at_least_of_raw, at_most
from fleetq_server.bench.seed import Mix, copy, fill
from fleetq_server.bench.writer import Writer, submission
from fleetq_server.cli.bench import NAMES
from fleetq_server.cli.main import main
from fleetq_server.model import Counts
from fleetq_server.store.sqlite import SqliteReader

SMALL = {
    "claiming": "--steps 1000 --pods 2 --rounds 1",
    "cycle": "--steps 1000 --rounds 1",
    "submits": "--duration 0.2 --rounds 1",
    "latency": "--duration 0.5",
    "recovery": "--steps 20 --pods 1 --rounds 1",
    "fairness": "--steps 5000 --pods 2 --duration 0.5",
    "backlog": "--steps 11000 --rounds 1",
    "memory": "--steps 1000",
}
WITH_RAW = set(NAMES) - {"memory"}
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
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.mark.parametrize("name", NAMES)
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
        assert (line["target"] is None) == (line["reached"] is None)
    assert any(line["target"] for line in report["lines"])
    assert any(line["raw"] for line in report["lines"]) == (name in WITH_RAW)
    assert not list(tmp_path.iterdir()), "it cleans up behind itself"


def test_every_benchmark_has_a_name_on_the_command_line() -> None:
    assert tuple(BENCHES) == NAMES


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


def test_a_lost_step_spoils_every_figure() -> None:
    good = Line("", "", [1.0], target=at_least(0.5))
    assert Report("x", [good], []).reached
    assert not Report("x", [good], ["default/x: counter pending says 1"]).reached
