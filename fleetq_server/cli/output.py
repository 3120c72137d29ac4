"""Tables for people, JSON for scripts."""

import base64
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleetq_server.client import Pod, StepOutcome
from fleetq_server.model import Event, Result, RetryPolicy, Step

WIDTH_OF_PIPE = 500  # a pipe has no edge at which to cut ids
LONGEST_CELL = 60

Document = Mapping[str, object]


def print_json(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=False))


def print_table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        # Plain text: a value such as [::1] is not markup.
        table.add_row(*(Text(_cell(value)) for value in row))
    console().print(table)


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, "", {}, ()):
            table.add_row(name, Text(str(value)))
    console().print(table)


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDTH_OF_PIPE, highlight=False)


def iso(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def data_fields(name: str, data: bytes | None) -> dict[str, object]:
    """`name` with the data as JSON if it is some, otherwise `name`_base64."""
    if data is None:
        return {name: None}
    try:
        return {name: json.loads(data)}
    except ValueError:
        return {f"{name}_base64": base64.b64encode(data).decode()}


def data_text(data: bytes | None) -> str:
    """Data for people."""
    return "" if data is None else data.decode(errors="replace")


def step_document(step: Step) -> dict[str, object]:
    document: dict[str, object] = {
        "step_id": str(step.step_id),
        "kind": step.kind,
        "queue": step.queue,
        "state": step.state,
        **data_fields("payload", step.payload),
        "metadata": dict(step.metadata),
        "priority": step.priority,
        "idempotency_key": step.idempotency_key,
        "retry": retry_document(step.retry),
        "timeout": step.timeout,
        "attempt": step.attempt,
        "failures": step.failures,
        "crashes": step.crashes,
        "created_at": iso(step.created_at),
        "run_at": iso(step.run_at),
        "claimed_at": iso(step.claimed_at),
        "finished_at": iso(step.finished_at),
        "holder": step.holder,
        "cancel_requested": step.cancel_requested,
        **data_fields("progress", step.progress),
        **result_fields(step.result),
        "cause": step.cause,
        "error": step.error,
        "message": step.message,
    }
    document["attempts"] = [
        {
            "attempt": each.attempt,
            "holder": each.holder,
            "started_at": iso(each.started_at),
            "ended_at": iso(each.ended_at),
            "cause": each.cause,
            "error": each.error,
            "message": each.message,
        }
        for each in step.attempts
    ]
    return document


def retry_document(retry: RetryPolicy) -> dict[str, object]:
    return {
        "max_attempts": retry.max_attempts,
        "initial_delay": retry.initial_delay,
        "multiplier": retry.multiplier,
        "max_delay": retry.max_delay,
        "jitter": retry.jitter,
        "non_retryable": list(retry.non_retryable),
    }


def result_fields(result: Result | None) -> dict[str, object]:
    return data_fields("result", result.data if result else None)


def outcome_document(outcome: StepOutcome) -> dict[str, object]:
    return {
        "step_id": outcome.step_id,
        "state": outcome.state,
        **data_fields("result", outcome.data),
        "cause": outcome.cause,
        "error": outcome.error,
        "message": outcome.message,
        "attempt": outcome.attempt,
    }


def pod_document(pod: Pod) -> dict[str, object]:
    return {
        "pod_id": pod.pod_id,
        "type": pod.type,
        "name": pod.name,
        "address": pod.address,
        "pid": pod.pid,
        "version": pod.version,
        "max_parallelism": pod.max_parallelism,
        "status": pod.status,
        "born_at": iso(pod.born_at),
        "beat_at": iso(pod.beat_at),
        "running": pod.running,
        "leader": pod.leader,
    }


def event_document(event: Event) -> dict[str, object]:
    return {
        "seq": event.seq,
        "at": iso(event.at),
        "type": event.type,
        "queue": event.queue,
        "pod_id": event.holder,
        "term": event.term,
        "step_ids": [str(step_id) for step_id in event.step_ids],
        "detail": dict(event.detail),
    }


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    first = text.splitlines()[0] if text else ""
    return first if len(first) <= LONGEST_CELL else f"{first[: LONGEST_CELL - 1]}…"
