"""The verdict over one cluster's history."""

import os
from collections.abc import Mapping, Sequence

from fleetq_server.config import Settings, load_settings
from fleetq_server.errors import ConfigError
from pytest_fleetq.cluster.fleet import Fleet
from pytest_fleetq.cluster.request import Request
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
    settings = _settings(fleet.request) if fleet.is_fleetq else None
    context = Context(
        logs=logs,
        ignored_log_patterns=EXPECTED_LOGS,
        grace=_grace(settings),
        max_crashes=settings.max_crashes if settings else None,
    )
    return judge(fleet.history.path, checkers, context)


def _settings(request: Request) -> Settings | None:
    """Those its pods run with, or None if that cannot be told."""
    config = request.config
    flags = dict(config) if isinstance(config, Mapping) else {"config": config}
    flags = {name.replace("-", "_"): value for name, value in flags.items()}
    environ = {**os.environ, "FLEET_Q_CONFIG": os.devnull, **request.env}
    try:
        return load_settings(flags, environ=environ, cwd=request.cwd)
    except ConfigError:
        return None


def _grace(settings: Settings | None) -> float:
    """Seconds until a fleet must have moved on: deaths are noticed, and everybody has looked."""
    if settings is None:
        return LEAST_GRACE
    noticed = settings.dead_pod_threshold_seconds + settings.claim_interval_seconds + 1.0
    return max(LEAST_GRACE, noticed)
