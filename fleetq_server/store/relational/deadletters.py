"""Redrive and purge."""

import json
from collections.abc import Callable
from typing import Any

from fleetq_server.errors import IdempotencyConflict
from fleetq_server.model import DeadFilter, StepId
from fleetq_server.store.base import Purge, Redrive
from fleetq_server.store.digest import digest_values
from fleetq_server.store.relational.leading import delete_steps
from fleetq_server.store.relational.tx import FAILED, PENDING, SCHEDULED, Tx, json_ids


def filter_values(filter: DeadFilter, after: int, limit: int) -> dict[str, Any]:
    return {
        "after": after,
        "queue": filter.queue,
        "kind": filter.kind,
        "cause": filter.cause,
        "error": filter.error,
        "before": filter.died_before,
        "since": filter.died_after,
        "ids": json_ids(filter.step_ids) if filter.step_ids else None,
        "limit": limit,
    }


def redrive(tx: Tx, op: Redrive) -> list[StepId]:
    return _once(tx, "redrive", op, op.rate, lambda: _redrive(tx, op))


def purge(tx: Tx, op: Purge) -> list[StepId]:
    return _once(tx, "purge", op, None, lambda: _purge(tx, op))


def _once(
    tx: Tx, what: str, op: Redrive | Purge, rate: float | None, act: Callable[[], list[StepId]]
) -> list[StepId]:
    """A repeat must not go on to further entries, whose turn the first call left for later."""
    if op.request_id is None or op.dry_run:
        return act()
    name = f"{what}:{op.request_id}"
    meaning = {**filter_values(op.filter, 0, op.limit), "rate": rate}
    digest = digest_values(str(value) for value in meaning.values())
    if known := tx.run("find_request", name):
        if known[0][0] != digest:
            raise IdempotencyConflict(op.request_id)
        return [StepId(step_id) for step_id in json.loads(known[0][1])]
    answer = act()
    tx.run("insert_request", name, digest, json_ids(answer), tx.now)
    return answer


def _redrive(tx: Tx, op: Redrive) -> list[StepId]:
    found = tx.run_named("find_dead", filter_values(op.filter, 0, op.limit))
    ids = [StepId(row[0]) for row in found]
    if op.dry_run:
        return ids
    for index, (step_id, lane) in enumerate(found):
        # A rate needs no machinery of its own: the steps are scheduled one after the other.
        wait = index / op.rate if op.rate else 0.0
        state, run_at = (SCHEDULED, tx.now + wait) if wait > 0 else (PENDING, None)
        tx.run("redrive", step_id, state, run_at)
        tx.move(lane, FAILED, state)
        tx.event("redriven", [step_id], lane, detail={"delay": round(wait, 6)} if wait else None)
    tx.run("delete_dead", json_ids(ids))
    tx.applied.made_ready |= bool(ids)
    return ids


def _purge(tx: Tx, op: Purge) -> list[StepId]:
    found = tx.run_named("find_dead", filter_values(op.filter, 0, op.limit))
    if not op.dry_run:
        delete_steps(tx, [(step_id, lane, FAILED) for step_id, lane in found], "purged")
    return [StepId(row[0]) for row in found]
