"""`fleetq test`: what it runs, what it writes, how it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq.suites.errors import NoSuites
from pytest_fleetq.suites.found import FILES, find_suites

pytestmark = pytest.mark.commands

MIXED = """
import pytest

@pytest.fixture
def broken():
    raise LookupError("no such thing")

def test_good(record_property):
    record_property("rate", 12.5)
    print("said something")

def test_bad():
    assert 1 + 1 == 3, "sums"

def test_unready(broken): ...

@pytest.mark.skip(reason="not here")
def test_left_out(): ...
"""
GOOD = "def test_good(): ..."


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with suites of its own."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.integration.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    (tmp_path / "tests/test_integration_suite.py").write_text(MIXED)
    (tmp_path / "tests/test_performance_load.py").write_text(GOOD)
    return tmp_path


def fleetq_test(where: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "fleetq_server.cli.main", "test", *words]
    return subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=60)


def report_of(where: Path) -> dict[str, Any]:
    return json.loads((where / "integration_test_report.json").read_text())


def test_the_report_tells_how_each_test_went(checkout: Path) -> None:
    ended = fleetq_test(checkout, "--suite", "all")
    assert ended.returncode == 1, ended.stderr
    report = report_of(checkout)
    totals = {name: report["totals"][name] for name in ("tests", "passed", "failed", "error")}
    assert totals == {"tests": 5, "passed": 2, "failed": 1, "error": 1}
    tests = {test["name"].rpartition("::")[2]: test for test in report["tests"][:4]}
    assert tests["test_good"]["metrics"]["rate"] == 12.5
    assert isinstance(tests["test_good"]["seed"], int | None)
    assert "sums" in tests["test_bad"]["reason"]
    assert "no such thing" in tests["test_unready"]["reason"]
    assert tests["test_left_out"]["reason"] == "not here"
    assert report["system_info"]["cpu_count"] == os.cpu_count()
    assert "said something" not in json.dumps(report)


def test_with_report_it_has_output_and_tracebacks(checkout: Path) -> None:
    fleetq_test(checkout, "--suite", "integration", "--report")
    tests = {test["name"].rpartition("::")[2]: test for test in report_of(checkout)["tests"]}
    assert tests["test_good"]["sections"] == {"Captured stdout call": "said something\n"}
    assert "assert (1 + 1) == 3" in tests["test_bad"]["details"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--suite", "performance"], 0),
        (["--suite", "integration"], 1),
        (["--suite", "performance", "--", "-k", "nothing_of_that_name"], 5),
        (["--suite", "everything"], 2),
        (["--timeout", "0"], 2),
    ],
)
def test_it_ends_as_pytest_does(checkout: Path, words: list[str], code: int) -> None:
    ended = fleetq_test(checkout, *words)
    assert ended.returncode == code, ended.stdout + ended.stderr


def test_a_suite_that_cannot_be_imported_is_an_error_in_the_report(checkout: Path) -> None:
    (checkout / "tests/test_performance_load.py").write_text("import no_such_module")
    assert fleetq_test(checkout, "--suite", "performance").returncode == 2
    (test,) = report_of(checkout)["tests"]
    assert (test["outcome"], "no_such_module" in test["reason"]) == ("error", True)


def test_json_alone_is_on_standard_output(checkout: Path) -> None:
    ended = fleetq_test(checkout, "--suite", "performance", "--json")
    assert json.loads(ended.stdout)["success"] is True
    assert "1 passed" in ended.stderr


def test_an_older_report_never_stands_for_a_run_that_wrote_none(checkout: Path) -> None:
    (checkout / "integration_test_report.json").write_text('{"success": true}')
    (checkout / "tests/test_performance_load.py").write_text("import os; os._exit(7)")
    ended = fleetq_test(checkout, "--suite", "performance")
    assert ended.returncode != 0
    assert "ended with 7" in ended.stderr
    assert not (checkout / "integration_test_report.json").exists()


LONG = """
import pathlib, time
def test_long():
    pathlib.Path("began").write_text("")
    time.sleep(60)
"""


def test_ctrl_c_reaches_pytest_and_the_report_is_written(checkout: Path) -> None:
    (checkout / "tests/test_performance_load.py").write_text(LONG)
    os.mkfifo(checkout / "began")
    words = [sys.executable, "-m", "fleetq_server.cli.main", "test", "--suite", "performance"]
    with subprocess.Popen(words, cwd=checkout, process_group=0, stdout=subprocess.DEVNULL) as run:
        (checkout / "began").read_text()  # returns once the test has begun
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(30) == 2
    assert report_of(checkout)["exit_status"] == 2


def test_suites_are_found_from_below_a_checkout(checkout: Path) -> None:
    suites = find_suites(checkout / "tests")
    assert suites.root == checkout
    assert all(file.is_file() for file in suites.files("all"))
    assert suites.files("all") == suites.files("integration") + suites.files("performance")
    assert set(FILES) == {"all", "integration", "performance"}


def test_without_any_suites_the_error_says_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(NoSuites, match=str(tmp_path)):
        find_suites(tmp_path)  # this is no installed wheel, so none lie beside the package


def test_the_script_is_the_same_command() -> None:
    script = Path(__file__).parents[2] / "scripts/run_integration_tests.py"
    words = [sys.executable, str(script), "--help"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert all(flag in told for flag in ("--suite", "--verbose", "--report", "--timeout"))
