"""Completing: half of a busy fleet's hottest transaction, two statements for each fence."""

import json
from itertools import repeat

from fleetq_server.model import Verdict
from fleetq_server.store.base import Complete
from fleetq_server.store.relational.settling import Done, by_fence, completed
from fleetq_server.store.relational.tx import CLAIMED, COMPLETED, json_ids
from fleetq_server.store.sqlite.tx import SqliteTx


def complete(tx: SqliteTx, op: Complete) -> list[Verdict]:
    done: Done = set()
    for fence, ids in by_fence(op.items).items():
        for lane, count, found, holder in tx.run("completable", json_ids(ids), fence):
            tx.run("complete", tx.now, found)
            ended = ids if count == len(ids) else json.loads(found)
            done.update(zip(ended, repeat(fence)))
            tx.move(lane, CLAIMED, COMPLETED, count)
            tx.event("completed", found, lane, tx.holder_id(holder))
            tx.applied.ended.extend(ended)
    return completed(tx, op, done)
