"""The claim: the hottest transaction of a fleet, three statements whatever the batch."""

import json
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import accumulate
from operator import itemgetter

from fleetq_server.model import NO_METADATA, Claim, Fence, StepId
from fleetq_server.store.base import ClaimSteps
from fleetq_server.store.relational.claiming import (
    CLAIM_BYTES,
    LANES_AT_ONCE,
    SWEEP_LIMIT,
    account,
    doubt,
    fence_for,
    holder_of,
)
from fleetq_server.store.relational.recovering import declare_dead, recover_some
from fleetq_server.store.relational.submitting import promote_due
from fleetq_server.store.relational.tx import Row, json_ids
from fleetq_server.store.sqlite.tx import SQL, SqliteTx

_ID, _PAYLOAD, _LANE, _CRASHES = map(itemgetter, (0, 1, -2, -1))  # columns of `claimed`


def claim(tx: SqliteTx, op: ClaimSteps) -> list[Claim]:
    holder = holder_of(tx.run("holder_status", op.holder))
    fence = fence_for(tx, op)
    if op.request_id is not None:
        again = tx.run("claims_of_request", op.holder, fence)[0][0]
        if again != "[]":
            return _claims(tx, tx.run("claimed", again, None), fence)
    if op.expired:
        declare_dead(tx, op.expired)
        recover_some(tx, SWEEP_LIMIT)
    promote_due(tx)
    lanes = ready_lanes(tx, op)
    if not lanes or op.limit < 1:
        return []
    if len(lanes) == 1:
        ids: str = tx.run("pick_from_one_lane", lanes[0], op.limit, fence)[0][0]
    else:
        ids = tx.run("pick", json.dumps(lanes), op.limit, fence)[0][0]
    rows = tx.run("claimed", ids, tx.now)
    if doubtful := _doubtful(tx, rows):
        ids = _with_one_doubtful(tx, op, lanes, fence, doubtful)
        rows = tx.run("claimed", ids, tx.now)
    if _cut_to_size(rows):
        ids = json_ids(map(_ID, rows))
    tx.run("claim", fence, op.holder, tx.now, ids)
    account(tx, ids, [*map(_LANE, rows)], holder)
    return _claims(tx, rows, fence)


def ready_lanes(tx: SqliteTx, op: ClaimSteps) -> list[int]:
    """Lanes with PENDING steps that this claim may take, at most LANES_AT_ONCE."""
    if () in (op.kinds, op.queues):
        return []
    names = (*(op.kinds or ()), *(op.queues or ()))
    found = _lanes(tx, _ready_sql("ready_lanes", op), (*names, LANES_AT_ONCE + 1))
    if len(found) > LANES_AT_ONCE:
        sql = _ready_sql("ready_lanes_in_turn", op)
        found = _lanes(tx, sql, (*names, tx.lanes.turn, LANES_AT_ONCE))
        if len(found) < LANES_AT_ONCE:
            found += _lanes(tx, sql, (*names, 0, LANES_AT_ONCE - len(found)))
        tx.lanes.turn = found[-1]
        return found
    return (found + _just_ready(tx, op, found))[:LANES_AT_ONCE]


def _just_ready(tx: SqliteTx, op: ClaimSteps, known: Collection[int]) -> list[int]:
    """Lanes that have PENDING steps since this very transaction, whose counters are not written
    yet: a step that is claimed as it comes in should cost its lane one write, not two."""
    found: list[int] = []
    for lane in tx.became_ready():
        queue, kind = tx.lane_name(lane)
        wanted = (op.kinds is None or kind in op.kinds) and (
            op.queues is None or queue in op.queues
        )
        if wanted and lane not in known and not tx.run("is_paused", queue):
            found.append(lane)
    return found


def any_ready(tx: SqliteTx) -> bool:
    """Whether any lane has PENDING steps, whoever may run them."""
    return bool(_lanes(tx, _named("ready_lanes", None, None), (1,)))


def _lanes(tx: SqliteTx, sql: str, values: Sequence[str | int]) -> list[int]:
    return [row[0] for row in tx.db.execute(sql, values)]


def _ready_sql(query: str, op: ClaimSteps) -> str:
    return _named(query, op.kinds and len(op.kinds), op.queues and len(op.queues))


@lru_cache  # also because SQLite finds a statement again faster by the very same string
def _named(query: str, kinds: int | None, queues: int | None) -> str:
    wanted = (("kind", kinds), ("queue", queues))
    return SQL[query].format(
        wanted="".join(
            f"AND {column} IN ({', '.join('?' * count)}) " for column, count in wanted if count
        )
    )


def _with_one_doubtful(
    tx: SqliteTx, op: ClaimSteps, lanes: list[int], fence: Fence, doubtful: list[StepId]
) -> str:
    """A step whose next crash is its last is poison, or was beside it each time. So a holder has
    no more than one of them at once: an innocent one then proves itself."""
    held = tx.run("holds_doubtful", op.holder, doubt(tx))[0][0]
    first = [] if held else doubtful[:1]
    room = op.limit - len(first)
    sound = tx.run("pick_sound", json.dumps(lanes), room, fence, doubt(tx))[0][0]
    return json_ids([*first, *json.loads(sound)])


def _doubtful(tx: SqliteTx, rows: Sequence[Row]) -> list[StepId]:
    least = doubt(tx)
    if max(map(_CRASHES, rows), default=0) < least:
        return []
    return [StepId(_ID(row)) for row in rows if _CRASHES(row) >= least]


def _cut_to_size(rows: list[Row]) -> bool:
    """Leaves CLAIM_BYTES of payload, or one row."""
    if sum(map(len, map(_PAYLOAD, rows))) <= CLAIM_BYTES:
        return False
    sizes = accumulate(map(len, map(_PAYLOAD, rows)))
    del rows[max(1, sum(size <= CLAIM_BYTES for size in sizes)) :]
    return True


def _claims(tx: SqliteTx, rows: Sequence[Row], fence: Fence) -> list[Claim]:
    names = {lane: tx.lane_name(lane) for lane in set(map(_LANE, rows))}
    new = tuple.__new__  # every step passes here, and Claim(…) takes three times as long
    claims: list[Claim] = []
    for step, body, about, key, attempt, priority, timeout, made, now, lane, _ in rows:
        queue, kind = names[lane]
        data = json.loads(about) if about else NO_METADATA
        values = (step, fence, kind, queue, body, data, key, attempt, priority, timeout, made, now)
        claims.append(new(Claim, values))
    return claims
