"""Fleets of real pods under load, and how far they stay within what is asked of them at least.

pytest tests/test_performance_load.py

The budgets are minimums. The summary tells for each how many times better it was.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.performance, pytest.mark.requires_resources(cpus=2, memory="1GB")]

HANDLERS = "performance_handlers"
WITHIN = 40.0
WORK = {"kind": "work", "payload": {"n": 1}}


@pytest.fixture
def fleet_of(cluster: Callable[..., Any]) -> Callable[..., Any]:
    """Clusters whose handlers are found beside this file."""
    here = Path(__file__).parent

    def make(n_pods: int, **config: object) -> Any:
        return cluster(n_pods, handlers=HANDLERS, cwd=here, config=config)

    return make


def finish(fleet: Any, steps: list[str]) -> None:
    result = fleet.client.wait(steps, timeout=WITHIN)
    assert result.completed == len(steps), result.describe()


def await_claimed(fleet: Any, number: int) -> None:
    fleet.wait_until(lambda: fleet.client.stats().totals.claimed >= number, timeout=WITHIN)


class TestHighConcurrencyLoad:
    @pytest.mark.perf_budget(
        "submit.throughput >= 10/s",
        "submit.mean <= 5000ms",
        "submit.p95 <= 5000ms",
        "calls.errors <= 0",
        "total.rss_peak <= 500MB",
    )
    def test_high_volume_step_submission(self, fleet_of) -> None:
        """Eight clients at once, five steps with each call."""
        fleet = fleet_of(3)

        def submit(number: int) -> list[str]:
            pod = fleet.client_of(fleet.pods[number % 3])
            batches = [[{"n": n}] * 5 for n in range(30)]
            return [step for batch in batches for step in pod.submit("work", batch)]

        with ThreadPoolExecutor(8) as threads:
            steps = [step for some in threads.map(submit, range(8)) for step in some]
        finish(fleet, steps)

    @pytest.mark.perf_budget(
        "claim.throughput >= 8/s",
        "claim.mean <= 5000ms",
        "claim.p99 <= 5000ms",
        "success_rate >= 100%",
        "total.rss_peak <= 500MB",
    )
    def test_concurrent_claiming_performance(self, fleet_of) -> None:
        fleet = fleet_of(5)
        finish(fleet, fleet.client.submit("work", [{"n": n} for n in range(1500)]))

    @pytest.mark.perf_budget(
        "throughput >= 4/s",
        "success_rate >= 100%",
        "calls.success_rate >= 100%",
        "submit.p95 <= 5000ms",
        "get.p90 <= 5000ms",
        "step.p95 <= 5000ms",
    )
    def test_mixed_workload_performance(self, fleet_of, perf_budget) -> None:
        """Submits, reads and statistics at a fixed rate, whether they are answered or not."""
        fleet = fleet_of(3)
        mix = {"submit": 6, "get": 3, "stats": 1}
        with perf_budget.load(rate=120, duration=3, mix=mix, max_lag=0.5, **WORK):
            pass
        fleet.wait_until(lambda: not _open_steps(fleet), timeout=WITHIN)


class TestRecoveryPerformance:
    @pytest.mark.perf_budget(
        "recovery <= 40s",
        "recovery.detected <= 40s",
        "recovery.rerun <= 40s",
        "success_rate >= 100%",
        "total.rss_growth <= 200MB",
    )
    def test_large_scale_recovery(self, fleet_of, inject_failure) -> None:
        """A pod dies with 500 steps in its hands; others finish every one of them."""
        fleet = fleet_of(1, max_parallelism=500, capacity_threshold=1.0)
        steps = fleet.client.submit("work", [{"seconds": 600}] * 500)
        await_claimed(fleet, 500)
        fleet.add_pod()
        fleet.add_pod()
        with inject_failure("kill", fleet.pods[0], restart=False):
            survivors = fleet.client_of(*fleet.pods[1:])
            result = survivors.wait(steps, timeout=WITHIN)
        assert result.completed == 500, result.describe()
        assert min(outcome.attempt for outcome in result) == 2, "all of them ran again"

    @pytest.mark.perf_budget(
        "recovery <= 40s",
        "recovery.steady <= 40s",
        "throughput >= 4/s",
        "success_rate >= 100%",
        "calls.success_rate >= 100%",
        "step.p50{during_fault} <= 5000ms",
        "total.rss_growth{during_fault} <= 200MB",
    )
    def test_recovery_under_load(self, fleet_of, inject_failure, perf_budget) -> None:
        """A pod dies while steps keep coming in; none is lost, and the rate comes back."""
        fleet = fleet_of(3, max_parallelism=20)
        with perf_budget.load(rate=100, duration=5, mix={"submit": 1}, max_lag=0.5, **WORK):
            fleet.wait_until(lambda: fleet.client.stats().totals.completed > 150, timeout=WITHIN)
            lasting = fleet.client.submit("work", [{"seconds": 3}] * 24)
            await_claimed(fleet, 20)
            inject_failure("kill", _holder_of_most(fleet, lasting), restart=False)
        finish(fleet, lasting)
        fleet.wait_until(lambda: not _open_steps(fleet), timeout=WITHIN)


class TestResourceUsage:
    @pytest.mark.perf_budget(
        "total.rss_peak <= 500MB",
        "rss_peak <= 200MB",
        "total.rss_growth <= 200MB",
        "fds <= 200",
        "threads <= 100",
        "success_rate >= 100%",
    )
    def test_memory_usage_optimization(self, fleet_of) -> None:
        """500 steps of 16 KiB, and then 500 more: what the first ones took is used again."""
        fleet = fleet_of(3)
        for _ in range(2):
            finish(fleet, fleet.client.submit("digest", [bytes(16_384)] * 500))

    @pytest.mark.perf_budget(
        "machine.cpu <= 80%",
        "machine.cpu_peak <= 80%",
        "throughput >= 4/s",
        "success_rate >= 100%",
        "total.rss_peak <= 700MB",
        "cpu_per_step <= 100ms",
    )
    def test_cpu_usage_efficiency(self, fleet_of, perf_budget) -> None:
        fleet = fleet_of(4)
        with perf_budget.load(rate=60, duration=3, mix={"submit": 1}, max_lag=0.5, **WORK):
            pass
        fleet.wait_until(lambda: not _open_steps(fleet), timeout=WITHIN)


def _open_steps(fleet: Any) -> int:
    totals = fleet.client.stats().totals
    return int(totals.scheduled + totals.pending + totals.claimed)


def _holder_of_most(fleet: Any, steps: list[str]) -> Any:
    """Asked of the steps: what pods say of themselves is as old as their last heartbeat."""
    holders = Counter(fleet.client.get(step).holder for step in steps)
    return max(fleet.pods, key=lambda pod: holders[pod.pod_id])
