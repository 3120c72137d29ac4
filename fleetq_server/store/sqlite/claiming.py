"""The claim: the hottest transaction of a fleet, three statements whatever the batch."""

import hashlib
import json

from fleetq_server.errors import LeaseLost
from fleetq_server.model import NO_METADATA, Claim, Fence, HolderStatus, StepId
from fleetq_server.store.base import ClaimSteps
from fleetq_server.store.sqlite.recovering import declare_dead, recover_some
from fleetq_server.store.sqlite.submitting import promote_due
from fleetq_server.store.sqlite.tx import CLAIMED, PENDING, SQL, Tx, json_ids

LANES_AT_ONCE = 64  # beyond this many non-empty lanes, they are served in turns
SWEEP_LIMIT = 200
CLAIM_BYTES = 3 * 1024 * 1024  # what one answer can carry


def claim(tx: Tx, op: ClaimSteps) -> list[Claim]:
    holder = _live_holder(tx, op)
    fence = _fence(tx, op)
    if op.request_id is not None:
        again = tx.run("claims_of_request", op.holder, fence)[0][0]
        if again != "[]":
            return _read(tx, again, fence)[0]
    if op.expired:
        declare_dead(tx, op.expired)
        recover_some(tx, SWEEP_LIMIT)
    promote_due(tx)
    lanes = ready_lanes(tx, op)
    if not lanes or op.limit < 1:
        return []
    ids: str = tx.run("pick", json.dumps(lanes), op.limit, fence)[0][0]
    claims, doubtful = _read(tx, ids, fence, as_of_now=True)
    if doubtful:
        ids = _with_one_doubtful(tx, op, lanes, fence, doubtful)
        claims, _ = _read(tx, ids, fence, as_of_now=True)
    tx.run("claim", fence, op.holder, tx.now, json_ids(claim.step_id for claim in claims))
    _account(tx, claims, holder)
    return claims


def ready_lanes(tx: Tx, op: ClaimSteps) -> list[int]:
    """Lanes with PENDING steps that this claim may take, at most LANES_AT_ONCE."""
    if () in (op.kinds, op.queues):
        return []
    tx.show_ready()
    found = _lanes_above(tx, op, tx.lanes.turn)
    if tx.lanes.turn and len(found) < LANES_AT_ONCE:
        found = [*found, *(lane for lane in _lanes_above(tx, op, 0) if lane <= tx.lanes.turn)][
            :LANES_AT_ONCE
        ]
    tx.lanes.turn = found[-1] if len(found) == LANES_AT_ONCE else 0
    return found


def any_ready(tx: Tx) -> bool:
    """Whether any lane has PENDING steps, whoever may run them."""
    return bool(tx.db.execute(SQL["ready_lanes"].format(wanted=""), (0, 1)).fetchall())


def _lanes_above(tx: Tx, op: ClaimSteps, turn: int) -> list[int]:
    wanted = ""
    values: list[int | str] = [turn]
    for column, names in (("kind", op.kinds), ("queue", op.queues)):
        if names is not None:
            wanted += f"AND {column} IN ({', '.join('?' * len(names))}) "
            values.extend(names)
    values.append(LANES_AT_ONCE)
    return [row[0] for row in tx.db.execute(SQL["ready_lanes"].format(wanted=wanted), values)]


def _live_holder(tx: Tx, op: ClaimSteps) -> str:
    found = tx.run("holder_status", op.holder)
    if not found or found[0][0] in (HolderStatus.DEAD, HolderStatus.GONE):
        raise LeaseLost("expired", "this holder was declared dead: begin anew with a new holder id")
    return str(found[0][1])


def _fence(tx: Tx, op: ClaimSteps) -> Fence:
    """One fence for all claims of one call: no two calls can claim the same attempt of a step.

    A call that may be repeated derives it from its request id, so that any pod can tell the repeat.
    """
    if op.request_id is None:
        return Fence(tx.rules.rng.getrandbits(63))
    name = f"{op.holder}:{op.request_id}".encode()
    digest = hashlib.blake2b(name, digest_size=8, key=tx.rules.secret).digest()
    return Fence(int.from_bytes(digest, "big") >> 1)


def _with_one_doubtful(
    tx: Tx, op: ClaimSteps, lanes: list[int], fence: Fence, doubtful: list[StepId]
) -> str:
    """A step whose next crash is its last is poison, or was beside it each time. So a holder has
    no more than one of them at once: an innocent one then proves itself."""
    held = tx.run("holds_doubtful", op.holder, _doubt(tx))[0][0]
    first = [] if held else doubtful[:1]
    room = op.limit - len(first)
    sound = tx.run("pick_sound", json.dumps(lanes), room, fence, _doubt(tx))[0][0]
    return json_ids([*first, *json.loads(sound)])


def _doubt(tx: Tx) -> int:
    return max(1, tx.rules.max_crashes - 1)


def _read(
    tx: Tx, ids: str, fence: Fence, *, as_of_now: bool = False
) -> tuple[list[Claim], list[StepId]]:
    """Claims held already or, as of now, about to be: CLAIM_BYTES of payload, or one claim; and
    which of their steps are doubtful."""
    claims: list[Claim] = []
    doubtful: list[StepId] = []
    doubt = _doubt(tx)
    size = 0
    for row in tx.db.execute(SQL["claimed"], (ids,)):
        (
            step_id,
            lane,
            attempt,
            priority,
            timeout,
            created_at,
            claimed_at,
            payload,
            metadata,
            key,
            crashes,
        ) = row
        if crashes >= doubt:
            doubtful.append(step_id)
        size += len(payload)
        if size > CLAIM_BYTES and claims:
            break
        queue, kind = tx.lane_name(lane)
        if as_of_now:
            attempt, claimed_at = attempt + 1, tx.now
        about = json.loads(metadata) if metadata else NO_METADATA
        claims.append(
            Claim(
                step_id,
                fence,
                kind,
                queue,
                payload,
                about,
                key,
                attempt,
                priority,
                timeout,
                created_at,
                claimed_at,
            )
        )
    return claims, doubtful


def _account(tx: Tx, claims: list[Claim], holder: str) -> None:
    by_lane: dict[tuple[str, str], list[int]] = {}
    for one in claims:
        name = (one.queue, one.kind)
        ids = by_lane.get(name)
        if ids is None:
            ids = by_lane[name] = []
        ids.append(one.step_id)
    for (queue, kind), ids in by_lane.items():
        lane = tx.lane(queue, kind)
        tx.move(lane, PENDING, CLAIMED, len(ids))
        tx.event("claimed", ids, lane, holder)
