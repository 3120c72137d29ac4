"""What a failing test shows, and what it leaves, with real pods."""

import json
import re
import shlex
from pathlib import Path

import pytest

from pytest_fleetq.report.bundle import Bundle
from tests.plugin.conftest import Run

pytestmark = pytest.mark.commands

BROKEN = """
def test_it(cluster, inject_failure):
    fleet = cluster(2, handlers="my_handlers")
    steps = fleet.client.submit("resize", [{"n": 1}, {"n": 2}])
    with inject_failure("pause", fleet.pods[1]):
        fleet.client_of(fleet.pods[0]).get(steps[0])
    fleet.client.wait(steps)
    with fleet.history.operation("liar", "submit", count=1, kind="resize") as operation:
        operation.ok(step_ids=[123456])
"""

KEPT = {
    "environment.json",
    "faults.json",
    "fleet.db",
    "history.jsonl",
    "pod-0",
    "pod-1",
    "report.html",
    "verdict.json",
}


def kept(folder: Path) -> Path:
    [cluster] = folder.glob("*/cluster-*")
    return cluster


def test_a_failure_shows_logs_faults_and_what_was_found_and_leaves_no_files(
    run: Run, tmp_path: Path
) -> None:
    result = run(BROKEN, "--fleetq-seed", "7", f"--fleetq-dir={tmp_path}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*cluster pod-0 log*",
            '*"ready"*',
            "*cluster pod-1 log*",
            "*cluster faults*",
            "* s  pause start on pod-1*",
            "* s  pause effect: *",
            "* s  pause end*",
            "*cluster verdict*",
            "conservation: fail",
            "*step 123456 is lost*",
            "*line *: * s liar was answered submit: count 1, kind resize, step_ids [[]123456]",
            "*fleetq reproduce*",
            "pytest test_it.py::test_it --fleetq-seed 7",
        ]
    )
    assert list(tmp_path.iterdir()) == []


def test_the_whole_bundle_is_kept_with_what_a_plugin_adds(
    run: Run, project: pytest.Pytester, tmp_path: Path
) -> None:
    project.makeconftest("""
def pytest_fleetq_report_sections(fleet):
    return [("disk", f"{len(fleet.pods)} pods looked at")]
""")
    result = run(BROKEN, "--fleetq-keep", "--fleetq-seed=7", f"--fleetq-dir={tmp_path}")
    folder = kept(tmp_path)
    assert {path.name for path in folder.iterdir()} >= KEPT
    result.stdout.fnmatch_lines(["*disk*", "2 pods looked at"])
    result.stdout.fnmatch_lines([f"report: {folder}/report.html"])
    result.stdout.fnmatch_lines(["*clusters are kept in *"])
    assert (folder / "pod-0" / "log").read_text()
    bundle = Bundle.at(folder)
    assert bundle.ended.outcome == "failed"
    assert "step 123456 is lost" in bundle.ended.failure
    assert bundle.ended.sections == (("disk", "2 pods looked at"),)
    told = bundle.environment
    assert (told.test, told.seed) == ("test_it.py::test_it", 7)
    assert [pod.state for pod in told.pods] == ["runs", "runs"]
    assert {"python", "pytest", "pytest-fleetq", "grpcio"} <= told.versions.keys() | {
        "pytest-fleetq"
    }
    assert {entry["stage"] for entry in json.loads((folder / "faults.json").read_text())} == {
        "start",
        "effect",
        "end",
    }
    assert "123456" in (folder / "report.html").read_text()


def test_a_passing_test_and_a_setup_that_fails_leave_bundles_too(run: Run, tmp_path: Path) -> None:
    source = """
    def test_passing(cluster):
        fleet = cluster(1, handlers="my_handlers")
        fleet.client.wait(fleet.client.submit("resize", [{"n": 1}]), strict=True)

    def test_unlucky(cluster):
        cluster(1, command=["sh", "-c", "echo no luck today; exit 7"], ready="tcp")
    """
    result = run(source, "--fleetq-keep", f"--fleetq-dir={tmp_path}")
    result.assert_outcomes(passed=1, failed=1)
    passing, unlucky = (Bundle.at(path) for path in sorted(tmp_path.glob("*/cluster-*")))
    assert (passing.ended.outcome, passing.ended.verdict) == ("passed", "pass")
    assert "no luck today" in unlucky.ended.failure
    assert unlucky.logs[0].lines == ("no luck today",)


def test_of_tests_that_share_a_cluster_the_first_to_fail_is_told_of(
    run: Run, tmp_path: Path
) -> None:
    source = """
    import pytest
    pytestmark = pytest.mark.fleetq(scope="module", silence=["vacuity"])

    def test_one(cluster, inject_failure):
        inject_failure("pause", cluster(1, handlers="my_handlers").pods[0])

    def test_two(cluster):
        cluster(1, handlers="my_handlers")
        assert False, "as it is"

    def test_three(cluster):
        cluster(1, handlers="my_handlers")
    """
    result = run(source, "--fleetq-keep", f"--fleetq-dir={tmp_path}")
    result.assert_outcomes(passed=2, failed=1)
    bundle = Bundle.at(tmp_path)
    assert bundle.environment.test == "test_it.py::test_two"
    assert "as it is" in bundle.ended.failure
    assert [fault.name for fault in bundle.history.faults] == ["pause"]
    assert bundle.colours.keys() == {"pause"}


def test_workers_that_share_a_cluster_leave_whole_bundles(run: Run, tmp_path: Path) -> None:
    source = """
    import pytest
    pytestmark = pytest.mark.fleetq(scope="run")

    @pytest.mark.parametrize("number", range(4))
    def test_it(cluster, number):
        fleet = cluster(1, handlers="my_handlers")
        fleet.client.wait(fleet.client.submit("resize", [{"n": number}]), strict=True)
    """
    result = run(source, "-n2", "--fleetq-keep", f"--fleetq-dir={tmp_path}", "-p", "xdist")
    result.assert_outcomes(passed=4)
    pages = list(tmp_path.glob("**/report.html"))
    assert pages
    for page in pages:
        bundle = Bundle.at(page.parent)
        assert bundle.ended.outcome == "passed"
        assert '"ready"' in bundle.logs[0].lines[0]
        assert (bundle.directory / "fleet.db").exists()
        assert page.read_text().rstrip().endswith("</html>")


def test_logs_are_cut_where_one_sort_of_line_drowns_all_others(run: Run) -> None:
    source = """
    def test_it(cluster):
        many = "for n in $(seq 500); do echo drip; done"
        script = f"echo first; {many}; printf '%0500d end\\\\n' 0; sleep 60"
        fleet = cluster(1, command=["sh", "-c", script], ready="log:end")
        assert False
    """
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["first", "drip", "… 498 more of that sort", "drip", "0000* … *000 end"]
    )
    assert max(map(len, result.outlines)) < 500


NOTHING_LEFT_OUT = """
import pytest

@pytest.mark.slow
@pytest.mark.fleetq(silence=["vacuity"])
@pytest.mark.parametrize("word", ["a b"])
def test_it(cluster, word, pytestconfig):
    cluster(1, command=["sleep", "100"])
    given = [pytestconfig.getoption(f"fleetq_{name}") for name in ("seed", "timeout")]
    assert False, f"given {' '.join(given)}"
"""


def test_the_line_that_reproduces_a_test_runs_it_as_it_ran(
    run: Run, project: pytest.Pytester, arguments: list[str]
) -> None:
    project.mkdir("tests")
    (project.path / "tests" / "test_deep.py").write_text(NOTHING_LEFT_OUT)
    (project.path / "other.ini").write_text("[pytest]\naddopts = -m 'not slow'\n")
    words = ["-c", "other.ini", "-m", "slow", "--fleetq-timeout=7", "--fleetq-seed=5", "tests"]
    result = run("", *words)
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    line = re.search(r"^(pytest -c other\.ini .*)$", text, re.MULTILINE)
    assert line is not None, text
    program, *again = shlex.split(line[1])
    assert program == "pytest"
    assert again.count("-m") == 1
    second = project.runpytest_subprocess(*arguments, *again)
    second.assert_outcomes(failed=1)
    second.stdout.fnmatch_lines(["*given 5 7*"])


def test_the_line_counts_the_path_from_where_pytest_was_started(
    run: Run, project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.makeini("[pytest]")
    deep = project.mkdir("deep")
    (deep / "test_deep.py").write_text(
        "def test_it(cluster):\n    cluster(1, command=['sleep', '100'])\n    assert False\n"
    )
    monkeypatch.chdir(deep)
    result = run("", "--fleetq-seed=5")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["pytest test_deep.py::test_it --fleetq-seed 5"])
