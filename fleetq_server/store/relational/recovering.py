"""Taking dead holders' claims away, and back to work."""

from collections.abc import Sequence

from fleetq_server.model import Cause, Failure, Fence, StepId
from fleetq_server.store.base import Suspect
from fleetq_server.store.relational.tx import CANCELLED, CLAIMED, FAILED, PENDING, Row, Tx, json_ids


def declare_dead(tx: Tx, suspects: Sequence[Suspect]) -> None:
    for suspect in suspects:
        if declared := tx.run("declare_dead", suspect.holder, suspect.beats):
            proof = {"proof": "lock" if suspect.beats is None else "silence"}
            tx.fleet_event("pod_dead", proof, holder=declared[0][0])


def recover_some(tx: Tx, limit: int) -> int:
    """Up to `limit` steps of holders declared dead; less means that none is left."""
    left = limit
    for key, holder_id in tx.run("unswept"):
        while rows := tx.run("held", key, left):
            _recover(tx, rows, holder_id)
            left -= len(rows)
            if left == 0:
                return limit
        tx.run("mark_swept", key)
    return limit - left


def _recover(tx: Tx, rows: Sequence[Row], holder_id: str) -> None:
    ready, buried, cancelled = [], [], []
    for step_id, lane, crashes, cancel, _, _ in rows:
        if cancel:
            cancelled.append(step_id)
            tx.move(lane, CLAIMED, CANCELLED)
        elif crashes + 1 >= tx.rules.max_crashes:
            buried.append((step_id, lane))
            tx.move(lane, CLAIMED, FAILED)
        else:
            ready.append(step_id)
            tx.move(lane, CLAIMED, PENDING)
    tx.run_many("insert_attempt", [_attempt(tx, row, holder_id) for row in rows])
    if ready:
        tx.run("recover", json_ids(ready))
        tx.event("recovered", ready, holder=holder_id)
        tx.applied.made_ready = True
    if cancelled:
        tx.run("end_crashed", json_ids(cancelled), tx.now, CANCELLED)
        tx.event("cancelled", cancelled, holder=holder_id)
    if buried:
        ids = [step_id for step_id, _ in buried]
        tx.run("end_crashed", json_ids(ids), tx.now, FAILED)
        message = f"its holder died {tx.rules.max_crashes} times while running it"
        tx.run_many(
            "insert_dead",
            [(i, lane, Cause.CRASHED, "Crashed", message, tx.now) for i, lane in buried],
        )
        tx.event("dead", ids, holder=holder_id, detail={"cause": Cause.CRASHED})
        cancelled.extend(ids)
    tx.applied.ended.extend(StepId(step_id) for step_id in cancelled)


def _attempt(tx: Tx, row: Row, holder_id: str) -> tuple[object, ...]:
    step_id, _, _, _, attempt, claimed_at = row
    return (
        step_id,
        None,
        attempt,
        holder_id,
        claimed_at,
        tx.now,
        Cause.CRASHED,
        "Crashed",
        "its holder died",
    )


def expired_attempts(tx: Tx, before: float, limit: int) -> list[Failure]:
    """Claims whose attempt ran past its time, as the failures they are to become."""
    message = "the attempt ran past its timeout"
    return [
        Failure(StepId(step_id), Fence(fence), Cause.TIMEOUT, "Timeout", message)
        for step_id, fence in tx.run("expired_attempts", before, limit)
    ]
