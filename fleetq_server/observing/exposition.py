"""A look in Prometheus' text format. Needs the extra `metrics`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, ProcessCollector, generate_latest
from prometheus_client.core import (
    CollectorRegistry,
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from fleetq_server import __version__
from fleetq_server.model import Cause, QueueStats, Stats
from fleetq_server.observing.histogram import Counted
from fleetq_server.observing.http import Response
from fleetq_server.observing.look import Look, Own

STATES = ("scheduled", "pending", "claimed", "completed", "failed", "cancelled")


def response(look: Look) -> Response:
    registry = CollectorRegistry()
    registry.register(_Looked(look))
    ProcessCollector(registry=registry)
    return Response(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)


class _Looked(Collector):
    def __init__(self, look: Look) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        look = self._look
        yield from _own(look.own)
        yield _gauge(
            "fleetq_store_up", "Whether the store answered this scrape.", look.stats is not None
        )
        if look.stats is not None:
            yield from _fleet(look.stats, look.dead)
        yield from _measured(look)


def _own(own: Own) -> Iterator[Metric]:
    labels = {"pod_id": own.pod_id, "name": own.name, "version": __version__}
    info = GaugeMetricFamily("fleetq_pod_info", "Always 1; who this pod is.", labels=list(labels))
    info.add_metric(list(labels.values()), 1)
    yield info
    yield _gauge("fleetq_leader", "Whether this pod leads the fleet.", own.leading)
    yield _gauge(
        "fleetq_heartbeat_age_seconds",
        "Time since the last heartbeat that the store took was sent.",
        own.heartbeat_age,
    )
    yield _gauge("fleetq_running_steps", "Steps claimed by this pod's own handlers.", own.running)
    yield _gauge("fleetq_capacity_steps", "Steps this pod claims at most.", own.capacity)


def _fleet(stats: Stats, dead: Mapping[Cause, int]) -> Iterator[Metric]:
    """The same at every pod."""
    yield _gauge("fleetq_live_pods", "Pods that are live or draining.", stats.live_pods)
    yield _gauge("fleetq_leader_term", "Term of the leadership.", stats.leadership.term)
    if "wal_bytes" in stats.store:
        yield _gauge("fleetq_wal_bytes", "Size of SQLite's WAL file.", stats.store["wal_bytes"])
    yield from _queues(stats.queues)
    causes = GaugeMetricFamily("fleetq_dead_steps", "Steps in the DLQ by cause.", labels=["cause"])
    for cause in Cause:
        causes.add_metric([cause], dead.get(cause, 0))
    yield causes


def _queues(queues: Sequence[QueueStats]) -> Iterator[Metric]:
    steps = GaugeMetricFamily(
        "fleetq_steps",
        "Steps by queue and state, those pruned left out.",
        labels=["queue", "state"],
    )
    for queue in queues:
        for state in STATES:
            steps.add_metric([queue.queue, state], getattr(queue.counts, state))
    yield steps
    paused = GaugeMetricFamily("fleetq_queue_paused", "Whether it is paused.", labels=["queue"])
    for queue in queues:
        paused.add_metric([queue.queue], queue.paused)
    yield paused
    yield _ever("submitted", "Steps ever submitted.", queues)
    yield _ever("pruned", "Ended steps that were deleted after their retention.", queues)


def _ever(word: str, about: str, queues: Iterable[QueueStats]) -> Metric:
    family = CounterMetricFamily(f"fleetq_{word}_steps", about, labels=["queue"])
    for queue in queues:
        family.add_metric([queue.queue], getattr(queue.counts, word))
    return family


def _measured(look: Look) -> Iterator[Metric]:
    """Since this pod started."""
    yield _histogram(
        "fleetq_claim_latency_seconds",
        "From a step's submit to its first claim, of the claims this pod granted.",
        {"": look.claim_latency},
    )
    yield _histogram(
        "fleetq_execution_seconds",
        "From the claim to the end of the attempt, of this pod's own handlers.",
        look.executions,
        "outcome",
    )
    yield _histogram(
        "fleetq_group_commit_writes",
        "What one transaction of this pod gathered: steps submitted, claimed or ended, and beats.",
        {"": look.commit_sizes},
    )
    if look.gate_waits.cumulative[-1]:
        yield _histogram(
            "fleetq_write_gate_wait_seconds",
            "How long a transaction of this pod waited for its turn to write.",
            {"": look.gate_waits},
        )


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def _histogram(name: str, about: str, found: Mapping[str, Counted], label: str = "") -> Metric:
    family = HistogramMetricFamily(name, about, labels=[label] if label else [])
    for value, counted in found.items():
        bounds = [*map(str, map(float, counted.bounds)), "+Inf"]
        pairs = list(zip(bounds, counted.cumulative, strict=True))
        family.add_metric([value] if label else [], pairs, counted.total)
    return family
