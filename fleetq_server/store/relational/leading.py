"""What only the leader may do; each checks the term inside its own transaction."""

from fleetq_server.model import StepId
from fleetq_server.store.base import ExpireAttempts, Prune, Pruned, Recover
from fleetq_server.store.relational.holding import check_term
from fleetq_server.store.relational.recovering import declare_dead, expired_attempts, recover_some
from fleetq_server.store.relational.settling import fail_one
from fleetq_server.store.relational.tx import CANCELLED, COMPLETED, FAILED, PRUNED, Tx, json_ids

EVENTS_KEPT_SECONDS = 3600.0
REQUESTS_KEPT_SECONDS = 3600.0


def recover(tx: Tx, op: Recover) -> int:
    check_term(tx, op.holder, op.term)
    declare_dead(tx, op.suspects)
    return recover_some(tx, op.limit)


def expire_attempts(tx: Tx, op: ExpireAttempts) -> int:
    check_term(tx, op.holder, op.term)
    late = expired_attempts(tx, tx.now - op.grace, op.limit)
    return sum(fail_one(tx, item, keep_fence=False) for item in late)


def prune(tx: Tx, op: Prune) -> Pruned:
    check_term(tx, op.holder, op.term)
    cursor = tx.run("prune_cursor")[0][0]
    rows = tx.run("prunable", cursor, op.limit)
    limits = {COMPLETED: op.before, CANCELLED: op.before, FAILED: op.dead_before}
    gone = [
        (row[0], row[1], row[2]) for row in rows if row[2] in limits and row[3] < limits[row[2]]
    ]
    delete_steps(tx, gone)
    wrapped = len(rows) < op.limit
    position = 0 if wrapped else rows[-1][0]
    if position != cursor:
        tx.run("set_prune_cursor", position)
    tx.run("prune_events", tx.now - EVENTS_KEPT_SECONDS, op.limit)
    tx.run("prune_requests", tx.now - REQUESTS_KEPT_SECONDS, op.limit)
    tx.run("prune_holders", op.before)
    return Pruned(len(gone), wrapped)


def delete_steps(tx: Tx, steps: list[tuple[int, int, int]], event: str = "pruned") -> None:
    """Deletes (id, lane, state) and all that belongs to them."""
    if not steps:
        return
    ids = json_ids(step[0] for step in steps)
    tx.run("delete_keys", ids)
    for table in ("dead", "bodies", "results", "progress", "attempts", "steps"):
        tx.run(f"delete_{table}", ids)
    for step_id, lane, state in steps:
        tx.move(lane, state, PRUNED)
        tx.event(event, [StepId(step_id)], lane)
