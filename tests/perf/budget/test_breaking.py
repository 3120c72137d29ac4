"""A budget that must fail, fails: for each kind of threshold, processes made to break it."""

import re
import threading
from pathlib import Path

import pytest

from fleetq_server.model import RetryPolicy
from pytest_fleetq.perf.budget.grammar import read_subject
from pytest_fleetq.perf.budget.metrics import METRICS, PERCENTILE
from pytest_fleetq.perf.measure.history import Call, read_story
from pytest_fleetq.verdict import Verdict

ROOT = Path(__file__).parents[3]
NO_RETRY = RetryPolicy(max_attempts=1)
ASK = "tests.perf.budget.own_calls:ask"


@pytest.fixture
def broken(perf_budget):
    """Says which of these budgets fail. The test itself is not to fail with them."""

    def ask(*expressions: str) -> list[str]:
        perf_budget(*expressions)
        perf_budget.end_loads(at_once=False)
        told = perf_budget.conclude()
        unknown = [one for one in perf_budget.judged if one.verdict is Verdict.UNKNOWN]
        assert not unknown, told
        perf_budget.thresholds.clear()
        return [one.expression for one in perf_budget.judged if one.verdict is Verdict.FAIL]

    return ask


def test_slow_and_refusing_servers_break_budgets_of_calls(serve, perf_budget, broken) -> None:
    serve(delay=0.02, refuse=5)
    budgets = [
        "ask.p50 <= 1ms",
        "ask.p95 < 1ms",
        "ask.mean <= 1ms",
        "ask.max <= 1ms",
        "p50 <= 1ms",
        "calls.p90 <= 1ms",
        "ask.throughput >= 1000/s",
        "throughput > 1000/s",
        "ask.success_rate >= 99.9%",
        "success_rate >= 99.9%",
        "ask.errors <= 0",
        "errors < 1",
    ]
    perf_budget.load(rate=150, duration=2, mix={ASK: 1}, max_lag=1.0)
    assert broken(*budgets, "ask.p50 >= 1ms", "success_rate >= 50%", "errors <= 300") == budgets


def test_wasteful_servers_break_budgets_of_pods(serve, perf_budget, broken) -> None:
    serve(leak=0.2, files=1, threads=1, burn=0.002)
    budgets = [
        "rss_peak <= 20MB",
        "rss_growth <= 4MB",
        "rss_slope <= 10KB/s",
        "cpu <= 2%",
        "cpu_peak <= 2%",
        "fds <= 40",
        "threads <= 40",
        "pod-0.rss_peak <= 20MB",
        "total.rss_peak <= 20MB",
        "total.rss_growth <= 4MB",
        "total.cpu <= 2%",
        "machine.cpu <= 1%",
        "machine.cpu_peak <= 1%",
        "total.fds <= 40",
        "cpu_per_step <= 1ms",
    ]
    perf_budget.load(rate=40, duration=3, mix={ASK: 1}, max_lag=1.0)
    modest = ["rss_peak <= 500MB", "rss_slope <= 50MB/s", "fds <= 500", "threads <= 500"]
    assert broken(*budgets, *modest) == budgets


def test_a_stall_breaks_budgets_of_its_phase_only(
    serve, perf_budget, inject_failure, broken
) -> None:
    fleet = serve()
    load = perf_budget.load(rate=100, duration=4, mix={ASK: 1}, max_lag=1.0)
    fleet.wait_until(lambda: len(seen(fleet)) >= 150, timeout=20)
    with inject_failure("pause", fleet.pods[0]):
        threading.Event().wait(1.0)
    load.wait()
    budgets = [
        "ask.max{during_fault} <= 400ms",
        "ask.p50{during:pause} <= 200ms",
        "recovery.steady <= 200ms",
    ]
    assert broken(*budgets, "ask.p50{steady} <= 200ms", "ask.p50{after:pause} <= 200ms") == budgets


def test_a_killed_pod_breaks_budgets_of_recovery(
    cluster, perf_budget, inject_failure, broken, tmp_path
) -> None:
    # A claim can take no time at all: of a step that its pod was free for as it was submitted, or
    # recovered. So there are more than both pods take, and none is free before all have waited.
    full = {"max_parallelism": 10, "capacity_threshold": 1.0}
    fleet = cluster(2, handlers="tests.integration_handlers", cwd=ROOT, config=full)
    gate = tmp_path / "gate"
    steps = fleet.client.submit("hold", [{"gate": str(gate)}] * 60)
    fleet.wait_until(lambda: fleet.client.stats().totals.claimed == 20)
    inject_failure("kill", fleet.pods[1])
    fleet.wait_until(lambda: fleet.client.stats().totals.pending == 50)
    gate.touch()
    assert fleet.client.wait(steps, timeout=60).ok
    budgets = [
        "recovery <= 1us",
        "recovery.detected <= 1us",
        "recovery.rerun <= 1us",
        "claim.p50 <= 1us",
        "step.max <= 1us",
        "claim.max{during:kill} <= 1us",
        "submit.max <= 1us",
        "throughput >= 100000/s",
        "claim.throughput >= 100000/s",
        "pod-0.throughput >= 100000/s",
    ]
    assert broken(*budgets, "recovery <= 20s", "success_rate >= 100%") == budgets


def test_steps_that_fail_break_a_budget_of_success(cluster, perf_budget, broken) -> None:
    fleet = cluster(1, handlers="tests.integration_handlers", cwd=ROOT)
    once = {"succeed_at": 99}
    steps = fleet.client.submit("fail", [once] * 5 + [{"succeed_at": 1}] * 5, retry=NO_RETRY)
    fleet.client.wait(steps, timeout=20)
    assert broken("success_rate >= 51%", "step.errors <= 4", "success_rate >= 50%") == [
        "success_rate >= 51%",
        "step.errors <= 4",
    ]


def test_calls_of_workers_are_not_taken_for_how_long_steps_wait(
    cluster, perf_budget, broken
) -> None:
    fleet = cluster(1)
    fleet.client.claim_steps("worker-0001", kinds=["any"], wait=0.3)
    fleet.client.submit("any", [b""] * 20)
    assert len(fleet.client.claim_steps("worker-0001", kinds=["any"], limit=20).claims) == 20
    budgets = ["claim_call.max <= 200ms", "claim.p50 <= 1us"]
    assert broken(*budgets, "claim.throughput >= 0.1/s") == budgets


def test_a_fleet_that_works_costs_processor_time(cluster, perf_budget, broken) -> None:
    fleet = cluster(1, handlers="tests.integration_handlers", cwd=ROOT)
    steps = fleet.client.submit("work", [{"n": n} for n in range(300)])
    assert fleet.client.wait(steps, timeout=60).ok
    budgets = ["cpu_per_step <= 1us", "pod-0.cpu_per_step <= 1us", "pod-0.p95 <= 1us"]
    assert broken(*budgets, "cpu_per_step <= 1s", "pod-0.p95 <= 20s") == budgets


def seen(fleet) -> list[Call]:
    return read_story(fleet.history.path, since=0.0, now=0.0).calls


def test_no_metric_is_left_out() -> None:
    """Of what stands above in a budget that must fail."""
    shown = re.findall(r'"([\w.{}:-]+) [<>]=? [\d.]+[\w%/]*"', Path(__file__).read_text())
    assert {read_subject(each).metric for each in shown} == {*METRICS.values(), PERCENTILE}
    assert {read_subject(each).name for each in shown} >= METRICS.keys()
