"""The claim: the hottest transaction of a fleet. Four questions to the server, in one wait."""

import json
from operator import itemgetter

from fleetq_server.model import NO_METADATA, Claim, Fence, StepId
from fleetq_server.store.base import ClaimSteps
from fleetq_server.store.postgres.tx import PgTx
from fleetq_server.store.postgres.wire import Answer
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

ANY_CRASHES = 2**31 - 1

_crashes = itemgetter(10)  # column of `pick`


def claim(tx: PgTx, op: ClaimSteps) -> list[Claim]:
    known = tx.send("repeating_holder" if op.request_id else "claiming_holder", op.holder)
    due = tx.send("next_due")
    fence = fence_for(tx, op)
    picked = _pick(tx, op, fence)
    holder = holder_of(tx.rows(known))
    if op.request_id is not None and (again := tx.run("claims_of_request", op.holder, fence)):
        return _claims(tx, again, fence)
    if op.expired:
        declare_dead(tx, op.expired)
        recover_some(tx, SWEEP_LIMIT)
    next_due = tx.rows(due)[0][0]
    if op.expired or (next_due is not None and next_due <= tx.now):
        promote_due(tx)
        picked = _pick(tx, op, fence)
    rows = _sound(tx, op, fence, tx.rows(picked))
    claims = _claims(tx, rows, fence, as_of_now=True)
    if claims:
        ids = json_ids(claim.step_id for claim in claims)
        tx.run("claim", fence, op.holder, tx.now, ids)
        account(tx, ids, [row[1] for row in rows[: len(claims)]], holder)
    return claims


def names(op: ClaimSteps) -> tuple[list[str] | None, list[str] | None]:
    """What `is_ready` and `pick` look for."""
    return (
        None if op.kinds is None else list(op.kinds),
        None if op.queues is None else list(op.queues),
    )


def _pick(
    tx: PgTx, op: ClaimSteps, fence: Fence, limit: int | None = None, crashes: int = ANY_CRASHES
) -> Answer:
    """Asks for steps to claim, of at most LANES_AT_ONCE lanes: if there are more, they are served
    in turns."""
    room = max(0, op.limit if limit is None else limit)
    return tx.send("pick", *names(op), room, fence, tx.lanes.turn, LANES_AT_ONCE, crashes)


def _sound(tx: PgTx, op: ClaimSteps, fence: Fence, rows: list[Row]) -> list[Row]:
    limit = doubt(tx)
    last_lane = (rows[-1][-1] or 0) if rows else 0
    if doubtful := [row for row in rows if _crashes(row) >= limit]:
        # A step whose next crash is its last is poison, or was beside it each time. So a holder
        # has no more than one of them at once: an innocent one then proves itself.
        held = tx.run("holds_doubtful", op.holder, limit)[0][0]
        rows = [] if held else doubtful[:1]
        if room := op.limit - len(rows):
            rows = [*rows, *tx.rows(_pick(tx, op, fence, room, limit))]
    tx.lanes.turn = last_lane
    return rows


def _claims(tx: PgTx, rows: list[Row], fence: Fence, *, as_of_now: bool = False) -> list[Claim]:
    """Claims held already or, as of now, about to be: CLAIM_BYTES of payload, or one claim."""
    claims: list[Claim] = []
    size = 0
    for step_id, lane, attempt, priority, timeout, created_at, claimed_at, payload, *rest in rows:
        metadata, key = rest[:2]
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
