"""Completing: one statement for all claims of a call, whatever their fences."""

from collections import defaultdict

from fleetq_server.model import StepId, Verdict
from fleetq_server.store.base import Complete
from fleetq_server.store.postgres.tx import PgTx
from fleetq_server.store.relational.settling import Done, completed
from fleetq_server.store.relational.tx import CLAIMED, COMPLETED, json_ids


def complete(tx: PgTx, op: Complete) -> list[Verdict]:
    if not op.items:
        return []
    ids, fences = json_ids(i.step_id for i in op.items), json_ids(i.fence for i in op.items)
    ended: dict[tuple[int, int], list[StepId]] = defaultdict(list)
    done: Done = set()
    for step_id, fence, lane, holder in tx.run("complete", tx.known_now, ids, fences):
        done.add((step_id, fence))
        ended[lane, holder].append(StepId(step_id))
    for (lane, holder), step_ids in ended.items():
        tx.move(lane, CLAIMED, COMPLETED, len(step_ids))
        tx.event("completed", sorted(step_ids), lane, tx.holder_id(holder))
        tx.applied.ended.extend(step_ids)
    return completed(tx, op, done)
