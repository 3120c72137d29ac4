"""Stored results over time: `baselines.append` and `fleetq trend`."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fleetq_server.cli.main import main
from pytest_fleetq.perf import baselines
from pytest_fleetq.perf.errors import BadResults, NoData
from pytest_fleetq.perf.results import Results
from pytest_fleetq.perf.trend.series import arrange
from pytest_fleetq.perf.trend.words import course
from tests.perf.gate.made import CPU, MACHINE, RATE, results
from tests.perf.gate.repository import Repository

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def on_day(day: int, commit: str, found: Results) -> Results:
    timestamp = (BEGIN + timedelta(days=day)).isoformat()
    return replace(
        found, timestamp=timestamp, configuration=replace(found.configuration, commit=commit)
    )


def history(directory: Path, levels: Sequence[float], metric: str = CPU) -> list[str]:
    """A run a day, with 1 % of noise. → their commits"""
    rng = Random(1)
    commits = [f"{day:010x}{0:030x}" for day in range(len(levels))]
    for day, (commit, level) in enumerate(zip(commits, levels, strict=True)):
        found = results({metric: level * rng.lognormvariate(0, 0.01)}, {"n": 3})
        baselines.append(directory, on_day(day, commit, found))
    return commits


def trend(*words: str) -> Result:
    return CliRunner().invoke(main, ["trend", *words])


def documents(directory: Path, *words: str) -> dict[str, dict[str, Any]]:
    ended = trend(str(directory), "--json", *words)
    assert ended.exit_code == 0, ended.output
    return {series["metric"]: series for series in json.loads(ended.stdout)["series"]}


# --- storing ---


def test_each_benchmark_and_machine_has_its_file(tmp_path: Path) -> None:
    here, there = results({CPU: 1}), results({CPU: 2}, fingerprint={**MACHINE, "cores": 64})
    other = results({CPU: 3}, name="../odd name")
    (one,) = baselines.append(tmp_path, here)
    (two,) = baselines.append(tmp_path, there)
    (three,) = baselines.append(tmp_path, other)
    assert baselines.append(tmp_path, here) == [one]
    assert len({one, two, three}) == 3
    assert one.parent == two.parent == tmp_path / "b"
    assert three.parent.parent == tmp_path
    assert len(one.read_text().splitlines()) == 2
    assert sorted(r.benchmarks[0].metrics[CPU] for r in baselines.load(tmp_path)) == [1, 1, 2, 3]


def test_what_did_not_succeed_is_not_kept(tmp_path: Path) -> None:
    assert baselines.append(tmp_path, results({CPU: 1}, success=False)) == []
    with pytest.raises(NoData, match="holds no results"):
        baselines.load(tmp_path)


def test_several_processes_may_append_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from pytest_fleetq.perf import baselines; from tests.perf.gate.made import results\n"
        "for _ in range(50): baselines.append(Path(sys.argv[1]), results({'x' * 5000: 1}))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    root = Path(__file__).parents[3]
    running = [subprocess.Popen(command, cwd=root) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(baselines.load(tmp_path)) == 150


def test_a_line_that_is_wrong_is_named(tmp_path: Path) -> None:
    (path,) = baselines.append(tmp_path, results({CPU: 1}))
    with path.open("a") as file:
        file.write('{"timestamp": 3}\n')
    with pytest.raises(BadResults, match=rf"{path}:2: timestamp: expected text, got 3"):
        baselines.load(tmp_path)


# --- arranging ---


def test_results_are_in_the_order_of_time_or_of_the_branch(tmp_path: Path) -> None:
    stored = [
        on_day(day, commit, results({CPU: day})) for day, commit in ((3, "c"), (1, "a"), (2, "b"))
    ]
    (by_time,) = arrange(stored)
    assert by_time.values == [1, 2, 3]
    (by_branch,) = arrange(stored, ["b", "x", "a"])
    assert by_branch.values == [2, 1]


def test_other_work_is_another_series_and_so_is_the_ratio_to_raw() -> None:
    stored = [
        results({CPU: 1}, workload={"steps": 1}),
        results({CPU: 9}, workload={"steps": 2}, ratio={CPU: 0.5}),
    ]
    assert [(series.metric, series.work, series.values) for series in arrange(stored)] == [
        (CPU, "steps 1", [1]),
        (CPU, "steps 2", [9]),
        (f"{CPU} / raw", "steps 2", [0.5]),
    ]


# --- the command ---


def test_a_change_for_the_worse_is_dated_and_named(tmp_path: Path) -> None:
    commits = history(tmp_path, [10] * 20 + [12] * 20)
    found = documents(tmp_path)
    (change,) = found[CPU]["changes"]
    assert change["commit"] == commits[20][:10]
    assert change["timestamp"].startswith("2026-01-21")
    assert change["ratio"] == pytest.approx(1.2, abs=0.02)
    assert change["worse"] is True
    assert found[CPU]["level"] == pytest.approx(12, rel=0.02)
    assert found["n"]["changes"] == []
    text = trend(str(tmp_path)).stdout
    assert re.search(
        rf"^b {CPU}: worse, \+(19|20)\.\d % at {commits[20][:10]} ", text, re.MULTILINE
    )
    assert "▁▁▁" in text


def test_of_a_rate_more_is_better(tmp_path: Path) -> None:
    history(tmp_path, [10] * 20 + [15] * 20, RATE)
    (change,) = documents(tmp_path)[RATE]["changes"]
    assert change["worse"] is False
    assert f"{RATE}: better, +" in trend(str(tmp_path)).stdout


def test_only_what_is_on_the_branch_counts(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    first = repository.git("rev-parse", "HEAD")
    second = repository.commit(CALLS="3")
    repository.git("checkout", "--quiet", "-b", "side")
    aside = repository.commit(CALLS="4")
    stored = tmp_path / "stored"
    for day, commit in enumerate((aside, second, first)):
        baselines.append(stored, on_day(day, commit, results({CPU: day + 1})))
    branch = ("--branch", "main", "--repository", str(repository.directory))
    points = documents(stored, *branch)[CPU]["points"]
    assert [point["value"] for point in points] == [3, 2]
    ended = trend(str(stored), "--branch", "nowhere", "--repository", str(repository.directory))
    assert ended.exit_code == 2


def test_a_page_holds_all_and_loads_nothing(tmp_path: Path) -> None:
    history(tmp_path / "stored", [10] * 20 + [12] * 20)
    page = tmp_path / "trend.html"
    assert trend(str(tmp_path / "stored"), "--html", str(page)).exit_code == 0
    text = page.read_text()
    assert text.count("<svg") == 2
    assert text.count("<circle") == 80
    assert 'class="cut bad"' in text
    assert '<p class="bad">worse, +' in text
    for loads in ("http:", "https:", "<script", "<link", "<img", "url("):
        assert loads not in text


def test_a_page_quotes_what_others_named(tmp_path: Path) -> None:
    baselines.append(tmp_path, results({"<b>_ms": 1}, name="<i>"))
    page = tmp_path / "trend.html"
    trend(str(tmp_path), "--html", str(page))
    assert "<b>" not in page.read_text()
    assert "<i>" not in page.read_text()


def test_a_picture_is_a_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history(tmp_path / "stored", [10] * 20 + [12] * 20)
    picture = tmp_path / "trend.png"
    assert trend(str(tmp_path / "stored"), "--png", str(picture)).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(tmp_path, [10])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    ended = trend(str(tmp_path), "--png", str(tmp_path / "trend.png"))
    assert ended.exit_code == 2
    assert "pip install 'pytest-fleetq[plot]'" in ended.stderr


def test_no_results_are_no_data(tmp_path: Path) -> None:
    assert trend(str(tmp_path)).exit_code == 5
    history(tmp_path, [10])
    ended = trend(str(tmp_path), "--metric", "no_such_ms")
    assert ended.exit_code == 5
    assert "are of what was asked for" in ended.stderr
    assert trend(str(tmp_path / "absent")).exit_code == 2


def test_a_selection_is_shown(tmp_path: Path) -> None:
    history(tmp_path, [10])
    assert list(documents(tmp_path, "--metric", "n")) == ["n"]
    assert list(documents(tmp_path, "--benchmark", "b", "--metric", CPU)) == [CPU]


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([1, 8], "▁█"),
        ([5, 5, 5], "▁▁▁"),
        (list(range(8)), "▁▂▃▄▅▆▇█"),
        ([0] * 500 + [9] * 500, "▁" * 12 + "█" * 12),
    ],
)
def test_the_course_is_drawn_in_bars(values: list[float], bars: str) -> None:
    assert course(values) == bars
