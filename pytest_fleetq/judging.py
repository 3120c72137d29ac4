"""The verdict over one cluster's history."""

from collections.abc import Sequence

from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.pod import Pod
from pytest_fleetq.strangers import strangers
from pytest_fleetq.verdict import Checker, Context, Judgement, judge

# A handler that fails is the business of its test; the DLQ and the journal tell of it.
EXPECTED_LOGS = (r'"event": "handler failed"', r"\] handler failed ")  # in JSON, and for people
LEAST_GRACE = 5.0


def judge_fleet(fleet: Fleet, checkers: Sequence[Checker]) -> Judgement:
    """Brings the fleet's journal into the history first, so it must still run."""
    fleet.history.phase("teardown")
    for who in strangers(fleet):
        fleet.history.unrecorded(who)
    fleet.drain_journal()
    logs = {pod.name: pod.log for pod in fleet.pods if pod.log.exists()}
    context = Context(
        logs=logs,
        ignored_log_patterns=EXPECTED_LOGS,
        grace=max((LEAST_GRACE, *map(_grace, fleet.pods))),
        max_crashes=max((_max_crashes(pod) for pod in fleet.pods), default=0) or None,
    )
    return judge(fleet.history.path, checkers, context)


def _grace(pod: Pod) -> float:
    """Seconds until a fleet must have moved on: deaths are noticed, and everybody has looked."""
    noticed = pod.settings.get("dead_pod_threshold_seconds") or 0.0
    return noticed + (pod.settings.get("claim_interval_seconds") or 0.0) + 1.0


def _max_crashes(pod: Pod) -> int:
    return pod.settings.get("max_crashes") or 0
