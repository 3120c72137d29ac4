"""The verdict over one cluster's history."""

from collections.abc import Mapping, Sequence

from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.verdict import Checker, Context, Judgement, judge

# A handler that fails is the business of its test; the DLQ and the journal tell of it.
EXPECTED_LOGS = (r'"event": "handler failed"',)


def judge_fleet(fleet: Fleet, checkers: Sequence[Checker]) -> Judgement:
    """Brings the fleet's journal into the history first, so it must still run."""
    fleet.drain_journal()
    logs = {pod.name: pod.log for pod in fleet.pods if pod.log.exists()}
    config = fleet.request.config
    # A file of settings is the pods' own; what it says of crashes is not looked at.
    known = config if isinstance(config, Mapping) else {}
    crashes = int(str(known.get("max_crashes", Context().max_crashes)))
    context = Context(logs=logs, ignored_log_patterns=EXPECTED_LOGS, max_crashes=crashes)
    return judge(fleet.history.path, checkers, context)
