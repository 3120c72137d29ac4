"""What a project sees of its budgets: at collection, in failures, reports and the summary."""

from pathlib import Path

import pytest

from pytest_fleetq.report.measurements import Measurements
from tests.plugin.conftest import Run

pytestmark = pytest.mark.commands

BUSY = """
import pytest

@pytest.mark.perf_budget("step.mean <= 1us", "success_rate >= 100%", "rss_peak <= 500MB")
def test_it(cluster):
    fleet = cluster(2, handlers="my_handlers")
    steps = fleet.client.submit("resize", [{"n": n} for n in range(300)])
    assert fleet.client.wait(steps, timeout=60).ok
"""


def test_a_threshold_nobody_can_read_is_an_error_at_collection(run: Run) -> None:
    source = """
    import pytest

    @pytest.mark.perf_budget("rss_peak <= 5MB", "claim.p99 <= 50MB")
    def test_it():
        raise SystemExit("it ran")
    """
    result = run(source)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "*test_it.py::test_it: marker perf_budget: budget 'claim.p99 <= 50MB', column 16: *",
            "  claim.p99 <= 50MB",
            "                 ^",
        ]
    )


def test_a_marker_takes_only_texts(run: Run) -> None:
    result = run("import pytest\n@pytest.mark.perf_budget(p99=5)\ndef test_it(): pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it: marker perf_budget takes only texts, such as*"])


def test_a_broken_budget_fails_its_test_and_is_told_everywhere(run: Run, tmp_path: Path) -> None:
    keep = ("--fleetq-keep", "--fleetq-dir", str(tmp_path / "kept"), "--junitxml=out.xml")
    result = run(BUSY, "--strict-markers", *keep)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*budget step.mean <= 1us: FAIL, *us, * times worse (of 300)",
            "*= fleetq budgets =*",
            "test_it.py::test_it",
            "  step.mean <= 1us: FAIL, *",
            "  success_rate >= 100%: pass, 100% (0 of 300 failed)",
            "  rss_peak <= 500MB: pass, *MB, * times better (pod-*)",
            "FAILED test_it.py::test_it*",
        ]
    )
    junit = Path("out.xml").read_text()
    assert '<property name="budget step.mean &lt;= 1us" value="step.mean &lt;= 1us: FAIL' in junit
    assert '<property name="claim.p95" value="' in junit
    assert '<property name="throughput" value="' in junit
    [file] = (tmp_path / "kept").glob("*/cluster-*/measurements.json")
    told = Measurements.from_json(file.read_text())
    assert [one.verdict for one in told.budgets] == ["fail", "pass", "pass"]
    assert {"claim", "step", "submit"} <= {one.name for one in told.operations}
    [steps] = [one for one in told.operations if one.name == "step"]
    assert (steps.count, steps.errors, steps.phase) == (300, 0, "")
    assert steps.latency.keys() == {"p50", "p90", "p95", "mean", "max"}
    assert {one.pod for one in told.series if one.name == "rss"} == {"pod-0", "pod-1"}
    assert all(at >= 0 for one in told.series for at, _ in one.points)


def test_too_little_data_is_no_pass_and_a_failing_body_hides_no_budget(run: Run) -> None:
    source = """
    import pytest

    def work(cluster):
        fleet = cluster(1, handlers="my_handlers")
        steps = fleet.client.submit("resize", [{"n": n} for n in range(300)])
        assert fleet.client.wait(steps, timeout=60).ok

    @pytest.mark.perf_budget("step.p99 <= 60s")
    def test_too_little(cluster):
        work(cluster)

    @pytest.mark.perf_budget("step.mean <= 1us")
    def test_failing(cluster):
        work(cluster)
        raise ValueError("as it is")
    """
    result = run(source)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "budget step.p99 <= 60s: not known, not enough data: p99 needs 1000, there are 300; *",
            "*as it is*",
            "*fleetq: budget step.mean <= 1us: FAIL*",
            "*= fleetq budgets =*",
        ]
    )


def test_a_load_is_judged_with_the_rest_unless_it_was_late_and_ends_with_its_test(run: Run) -> None:
    source = """
    def test_waited_for(cluster, perf_budget):
        cluster(2, handlers="my_handlers")
        perf_budget("submit.throughput >= 20/s", "submit.p50 <= 5s")
        perf_budget.load(rate=50, duration=2, kind="resize", payload={"n": 1}, max_lag=5.0)

    def test_late(cluster, perf_budget):
        cluster(1, handlers="my_handlers")
        perf_budget("submit.max <= 60s", "fds <= 1000")
        perf_budget.load(rate=50, duration=1, kind="resize", payload={"n": 1}, max_lag=1e-6)

    def test_failing(cluster, perf_budget):
        cluster(1, handlers="my_handlers")
        perf_budget.load(rate=20, duration=500, kind="resize", payload={"n": 1})
        raise ValueError("as it is")
    """
    result = run(source)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "load-1 proves nothing: the load driver itself was late: by *the machine is too busy*",
            "budget submit.max <= 60s: not known, load-1 proves nothing",
            "*as it is*",
            "*= fleetq budgets =*",
            "test_it.py::test_waited_for",
            "  load-1: 50/s for 2 s, 100 calls, 0 errors; the driver was *",
            "test_it.py::test_late",
            "  submit.max <= 60s: not known, load-1 proves nothing",
            "  fds <= 1000: pass, *",
        ]
    )


def test_workers_of_xdist_hand_their_budgets_in(run: Run) -> None:
    result = run(BUSY, "-n", "1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*= fleetq budgets =*", "  step.mean <= 1us: FAIL, *"])


def test_tests_that_share_a_cluster_are_measured_apart(run: Run) -> None:
    source = """
    import pytest

    def work(cluster, perf_budget, number):
        fleet = cluster(1, handlers="my_handlers")
        kind = {"kind": "resize", "payload": {"n": 1}}
        with perf_budget.load(rate=50, duration=number / 50, max_lag=5.0, **kind):
            pass
        fleet.wait_until(lambda: not fleet.client.stats().totals.claimed)

    @pytest.mark.fleetq(scope="module")
    @pytest.mark.perf_budget("submit.errors <= 0", "step.mean <= 60s")
    class TestTogether:
        def test_one(self, cluster, perf_budget):
            work(cluster, perf_budget, 60)

        def test_two(self, cluster, perf_budget):
            work(cluster, perf_budget, 30)
    """
    result = run(source)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["  submit.errors <= 0: pass, 0 (of 60)", "  submit.errors <= 0: pass, 0 (of 30)"]
    )


def test_figures_are_to_be_had_of_a_cluster_of_ones_own_or_it_is_told_why_not(run: Run) -> None:
    source = """
    import pytest
    import pytest_fleetq
    from pytest_fleetq.perf.budget.budget import NotEnoughData

    def test_it(perf_budget):
        with pytest_fleetq.Cluster(1, handlers="my_handlers") as fleet:
            perf_budget.watch(fleet)
            with pytest.raises(NotEnoughData, match="p99: not enough data: no 'step' was seen"):
                perf_budget.value("step.p99")
            steps = fleet.client.submit("resize", [{"n": 1}] * 40)
            assert fleet.client.wait(steps, timeout=60).ok
            assert 0 < perf_budget.value("step.p50") < 20
            assert perf_budget.value("success_rate") == 100
    """
    run(source).assert_outcomes(passed=1)
