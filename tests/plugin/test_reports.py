"""What a failing test shows."""

from pathlib import Path

import pytest

from tests.plugin.conftest import Run

FAILING = """
def test_it(cluster, inject_failure):
    fleet = cluster(2, handlers="my_handlers")
    steps = fleet.client.submit("resize", [{"n": 1}])
    with inject_failure("pause", fleet.pods[1]):
        fleet.client_of(fleet.pods[0]).get(steps[0])
    assert False, "as it is"
"""


def test_a_failure_shows_logs_faults_verdict_and_how_to_reproduce_it(run: Run) -> None:
    result = run(FAILING, "--fleetq-seed", "7")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*as it is*",
            "*cluster pod-0 log*",
            '*"ready"*',
            "*cluster faults*",
            "*pause start on pod-1*",
            "*pause effect*",
            "*cluster verdict*",
            "*fleetq reproduce*",
            "pytest test_it.py::test_it --fleetq-seed 7",
        ]
    )


def test_a_pod_that_dies_at_its_start_fails_the_test_with_its_status_and_log(run: Run) -> None:
    source = """
    def test_it(cluster):
        cluster(2, command=["sh", "-c", "echo no luck today; exit 7"], ready="tcp", timeout=30)
    """
    result = run(source, timeout=20)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*PodFailed: pod-0 ended with exit status 7*", "*no luck today*"])


def test_handlers_that_cannot_be_imported_fail_the_test_with_the_reason(run: Run) -> None:
    result = run("def test_it(cluster): cluster(1, handlers='nobody')")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*PodFailed*exit status 1*", "*no module 'nobody'*"])


def test_a_pod_that_is_not_ready_in_time_fails_the_test_with_its_log(run: Run) -> None:
    source = """
    def test_it(cluster):
        command = ["sh", "-c", "echo still thinking; exec sleep 100"]
        cluster(1, command=command, ready="log:done", timeout=0.5)
    """
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pod-0 was not ready within 0.5 s*", "*still thinking*"])


def test_a_pod_that_dies_unasked_fails_the_test(run: Run) -> None:
    source = """
    import os, time

    def test_it(cluster):
        fleet = cluster(1, command=["sleep", "1000"], allow_exits=ALLOWED)
        os.kill(fleet.pods[0].pid, 9)
        while fleet.pods[0].alive:
            time.sleep(0.01)
    """
    result = run(source.replace("ALLOWED", "False"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*pod-0 was ended by signal 9 SIGKILL, though neither*"])
    run(source.replace("ALLOWED", "True")).assert_outcomes(passed=1)


def test_kept_clusters_are_where_the_summary_says(run: Run, tmp_path: Path) -> None:
    result = run(FAILING, "--fleetq-keep", "--fleetq-dir", str(tmp_path / "kept"))
    result.stdout.fnmatch_lines(["*clusters are kept in */kept/*"])
    [folder] = (tmp_path / "kept").glob("*/cluster-*")
    assert {"history.jsonl", "faults.json", "fleet.db", "pod-0", "pod-1"} <= {
        path.name for path in folder.iterdir()
    }
    assert (folder / "pod-0" / "log").read_text()


def test_clusters_are_removed_unless_kept(run: Run, tmp_path: Path) -> None:
    run(FAILING, "--fleetq-dir", str(tmp_path / "clusters"))
    assert list((tmp_path / "clusters").iterdir()) == []


def test_junit_carries_seed_and_verdict(run: Run, project: pytest.Pytester) -> None:
    source = """
    def test_it(cluster):
        fleet = cluster(1, handlers="my_handlers")
        fleet.client.wait(fleet.client.submit("resize", [{"n": 1}]))
    """
    run(source, "--junitxml=out.xml", "--fleetq-seed=7").assert_outcomes(passed=1)
    text = (project.path / "out.xml").read_text()
    assert '<property name="fleetq_seed" value="7"' in text
    assert '<property name="fleetq_verdict" value="pass"' in text


def test_a_broken_promise_fails_a_test_whose_body_passed(run: Run) -> None:
    source = """
    def test_it(cluster):
        fleet = cluster(1, handlers="my_handlers")
        with fleet.history.operation("liar", "submit", count=1) as operation:
            operation.ok(step_ids=[123456])
    """
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*conservation: fail*", "*step 123456 is lost*"])
    run(source, "--fleetq-silence", "conservation").assert_outcomes(passed=1)


def test_a_fault_without_effect_fails_the_test(run: Run) -> None:
    source = """
    def test_it(cluster, inject_failure):
        fleet = cluster(1, handlers="my_handlers")
        inject_failure("crash_at", fleet.pods[0], at="pod.ready")
        fleet.client.wait(fleet.client.submit("resize", [{"n": 1}]))
    """
    result = run(source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*fault 'crash_at' on pod-0 had no effect*"])
