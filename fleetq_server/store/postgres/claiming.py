"""The claim: the hottest transaction of a fleet. Four questions to the server, in two waits."""

import json

from fleetq_server.model import NO_METADATA, Claim, Fence, StepId
from fleetq_server.store.base import ClaimSteps
from fleetq_server.store.postgres.tx import Answer, PgTx
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

ANY_CRASHES = 2**31


def claim(tx: PgTx, op: ClaimSteps) -> list[Claim]:
    known = tx.send("repeating_holder" if op.request_id else "claiming_holder", op.holder)
    due = tx.send("next_due")
    ready = _ask_ready(tx, op, tx.lanes.turn)
    holder = holder_of(tx.rows(known))
    fence = fence_for(tx, op)
    if op.request_id is not None and (again := tx.run("claims_of_request", op.holder, fence)):
        return _claims(tx, again, fence)
    if op.expired:
        declare_dead(tx, op.expired)
        recover_some(tx, SWEEP_LIMIT)
    next_due = tx.rows(due)[0][0]
    found = [row[0] for row in tx.rows(ready)]
    if op.expired or (next_due is not None and next_due <= tx.now):
        promote_due(tx)
        found = [row[0] for row in tx.rows(_ask_ready(tx, op, tx.lanes.turn))]
    lanes = _in_turns(tx, op, found)
    if not lanes or op.limit < 1:
        return []
    rows = _picked(tx, op, lanes, fence)
    claims = _claims(tx, rows, fence, as_of_now=True)
    if claims:
        ids = json_ids(claim.step_id for claim in claims)
        tx.run("claim", fence, op.holder, tx.now, ids)
        account(tx, ids, [row[1] for row in rows[: len(claims)]], holder)
    return claims


def ready_lanes(tx: PgTx, op: ClaimSteps) -> list[int]:
    """Lanes with PENDING steps that this claim may take, at most LANES_AT_ONCE."""
    return _in_turns(tx, op, [row[0] for row in tx.rows(_ask_ready(tx, op, tx.lanes.turn))])


def _ask_ready(tx: PgTx, op: ClaimSteps, above: int) -> Answer:
    kinds = None if op.kinds is None else list(op.kinds)
    queues = None if op.queues is None else list(op.queues)
    return tx.send("ready_lanes", above, kinds, queues, LANES_AT_ONCE)


def _in_turns(tx: PgTx, op: ClaimSteps, found: list[int]) -> list[int]:
    """Beyond LANES_AT_ONCE lanes, they are served in turns."""
    turn = tx.lanes.turn
    if turn and len(found) < LANES_AT_ONCE:
        before = (row[0] for row in tx.rows(_ask_ready(tx, op, 0)))
        found = [*found, *(lane for lane in before if lane <= turn)][:LANES_AT_ONCE]
    tx.lanes.turn = found[-1] if len(found) == LANES_AT_ONCE else 0
    return found


def _picked(tx: PgTx, op: ClaimSteps, lanes: list[int], fence: Fence) -> list[Row]:
    rows = tx.run("pick", json_ids(lanes), op.limit, fence, ANY_CRASHES)
    limit = doubt(tx)
    doubtful = [row for row in rows if row[-1] >= limit]
    if not doubtful:
        return rows
    # A step whose next crash is its last is poison, or was beside it each time. So a holder has no
    # more than one of them at once: an innocent one then proves itself.
    held = tx.run("holds_doubtful", op.holder, limit)[0][0]
    first = [] if held else doubtful[:1]
    room = op.limit - len(first)
    return [*first, *(tx.run("pick", json_ids(lanes), room, fence, limit) if room else ())]


def _claims(tx: PgTx, rows: list[Row], fence: Fence, *, as_of_now: bool = False) -> list[Claim]:
    """Claims held already or, as of now, about to be: CLAIM_BYTES of payload, or one claim."""
    claims: list[Claim] = []
    size = 0
    for step_id, lane, attempt, priority, timeout, created_at, claimed_at, payload, *rest in rows:
        metadata, key, _ = rest
        size += len(payload)
        if size > CLAIM_BYTES and claims:
            break
        queue, kind = tx.lane_name(lane)
        if as_of_now:
            attempt, claimed_at = attempt + 1, tx.now  # noqa: PLW2901
        about = json.loads(metadata) if metadata else NO_METADATA
        claims.append(
            Claim(
                StepId(step_id), fence, kind, queue, payload, about, key, attempt, priority,
                timeout, created_at, claimed_at,
            )
        )  # fmt: skip
    return claims
