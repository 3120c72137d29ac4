"""`fleetq report`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fleetq_server.cli.lazy import contributed
from fleetq_server.cli.main import main
from pytest_fleetq.commands import report
from tests.plugin.report.runs import AGAIN


def run(*words: object) -> Result:
    """As `fleetq report`, whether the package is installed or not."""
    return CliRunner().invoke(report, [str(word) for word in words])


def test_it_writes_the_page_and_says_where_and_what_is_wrong(broken: Path) -> None:
    (broken / "report.html").unlink(missing_ok=True)
    done = run(broken)
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0] == "test_it.py::test_it: failed, checkers: fail"
    assert any("step 5 was claimed by" in line for line in lines)
    assert lines[-1] == f"report: {broken / 'report.html'}"
    assert "<!doctype html>" in (broken / "report.html").read_text()


def test_the_page_goes_where_it_is_wanted(broken: Path, tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    assert run(broken, "--output", page).exit_code == 0
    assert page.exists()
    assert not (broken / "report.html").exists()


def test_the_summary_as_json(broken: Path) -> None:
    told = json.loads(run(broken, "--json").output)
    assert told["outcome"] == "failed"
    assert told["verdict"] == "fail"
    assert told["checkers"]["at_most_one_live_claim"] == "fail"
    assert told["reproduce"] == AGAIN
    assert (told["faults"], told["steps"], told["seed"]) == (2, 5, 7)
    assert told["page"] == str(broken / "report.html")


@pytest.mark.parametrize("kind", ["nowhere", "empty", "a file"])
def test_what_is_no_bundle_is_a_usage_error_that_says_what_to_give(
    tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "run"
    if kind == "empty":
        target.mkdir()
    elif kind == "a file":
        target.write_text("")
    done = run(target)
    assert done.exit_code == 2
    assert "Invalid value for RUN" in done.output
    assert "that --fleetq-keep left" in done.output


def test_an_output_that_cannot_be_written_is_named(broken: Path, tmp_path: Path) -> None:
    done = run(broken, "--output", tmp_path / "missing" / "page.html")
    assert isinstance(done.exception, FileNotFoundError)


@pytest.mark.skipif("report" not in contributed(), reason="the package is not installed")
def test_fleetq_has_the_command(broken: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", str(tmp_path / "nowhere"), "--json"])
    assert done.exit_code == 2
    assert "is no folder that --fleetq-keep left" in done.output
