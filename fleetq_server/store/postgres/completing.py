"""Completing: one statement for all claims of a call, whatever their fences."""

from collections import defaultdict

from fleetq_server.model import Ending, StepId, Verdict
from fleetq_server.store.base import Complete
from fleetq_server.store.postgres.tx import PgTx
from fleetq_server.store.sqlite.settling import _verdicts
from fleetq_server.store.sqlite.tx import CLAIMED, COMPLETED, json_ids


def complete(tx: PgTx, op: Complete) -> list[Verdict]:
    if not op.items:
        return []
    ids, fences = json_ids(i.step_id for i in op.items), json_ids(i.fence for i in op.items)
    ended: dict[tuple[int, int], list[StepId]] = defaultdict(list)
    done: set[tuple[int, int]] = set()
    for step_id, fence, lane, holder in tx.run("complete", tx.known_now, ids, fences):
        done.add((step_id, fence))
        ended[lane, holder].append(StepId(step_id))
    for (lane, holder), step_ids in ended.items():
        tx.move(lane, CLAIMED, COMPLETED, len(step_ids))
        tx.event("completed", sorted(step_ids), lane, tx.holder_id(holder))
        tx.applied.ended.extend(step_ids)
    results = [
        (item.step_id, item.result.data, int(item.result.json))
        for item in op.items
        if item.result is not None and (item.step_id, item.fence) in done
    ]
    if results:
        tx.run_many("insert_result", results)
    return _verdicts(tx, op.items, done, Ending.COMPLETED)
