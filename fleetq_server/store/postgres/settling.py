"""Completing and releasing: one statement for all claims of a call, whatever their fences. The
steps are locked in the order of their ids, as everywhere: two writers would wait for each other."""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter

from fleetq_server.model import Ending, StepId, Verdict
from fleetq_server.store.base import Complete, ReleaseSteps
from fleetq_server.store.postgres.tx import PgTx
from fleetq_server.store.relational.settling import (
    Done,
    Item,
    account_released,
    completed,
    verdicts,
)
from fleetq_server.store.relational.tx import CLAIMED, COMPLETED, json_ids

_by_id = attrgetter("step_id")


def complete(tx: PgTx, op: Complete) -> list[Verdict]:
    if not op.items:
        return []
    ended: dict[tuple[int, int], list[StepId]] = defaultdict(list)
    done: Done = set()
    for step_id, fence, lane, holder in tx.run("complete", tx.known_now, *_named(op.items)):
        done.add((step_id, fence))
        ended[lane, holder].append(StepId(step_id))
    for (lane, holder), step_ids in ended.items():
        tx.move(lane, CLAIMED, COMPLETED, len(step_ids))
        tx.event("completed", sorted(step_ids), lane, tx.holder_id(holder))
        tx.applied.ended.extend(step_ids)
    return completed(tx, op, done)


def release(tx: PgTx, op: ReleaseSteps) -> list[Verdict]:
    if not op.items:
        return []
    rows = tx.run("release", tx.now, *_named(op.items))
    account_released(tx, [row[:4] for row in rows])
    return verdicts(tx, op.items, {(row[0], row[4]) for row in rows}, Ending.RELEASED)


def _named(items: Sequence[Item]) -> tuple[str, str]:
    items = sorted(items, key=_by_id)
    return json_ids(i.step_id for i in items), json_ids(i.fence for i in items)
