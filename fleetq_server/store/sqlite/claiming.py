"""The claim: the hottest transaction of a fleet, three statements whatever the batch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from operator import itemgetter

from fleetq_server.errors import LeaseLost
from fleetq_server.model import NO_METADATA, Claim, Fence, HolderStatus, StepId
from fleetq_server.store.base import ClaimSteps, Taken
from fleetq_server.store.sqlite.recovering import declare_dead, recover_some
from fleetq_server.store.sqlite.submitting import promote_due
from fleetq_server.store.sqlite.tx import CLAIMED, PENDING, SQL, Row, Tx, json_ids

LANES_AT_ONCE = 64  # beyond this many non-empty lanes, they are served in turns
SWEEP_LIMIT = 200
CLAIM_BYTES = 3 * 1024 * 1024  # what one answer can carry

_ID, _LANE, _PAYLOAD, _CRASHES = map(itemgetter, (0, 1, 2, -1))  # columns of `claimed`


def claim(tx: Tx, op: ClaimSteps) -> list[Claim]:
    return take(tx, op).claims()


def take(tx: Tx, op: ClaimSteps) -> Taken:
    holder = _live_holder(tx, op)
    fence = _fence(tx, op)
    if op.request_id is not None:
        again = tx.run("claims_of_request", op.holder, fence)[0][0]
        if again != "[]":
            return _taken(tx, tx.run("claimed", again, None), fence)
    if op.expired:
        declare_dead(tx, op.expired)
        recover_some(tx, SWEEP_LIMIT)
    promote_due(tx)
    lanes = ready_lanes(tx, op)
    if not lanes or op.limit < 1:
        return Taken(0, list)
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
    _account(tx, rows, ids, holder)
    return _taken(tx, rows, fence)


def ready_lanes(tx: Tx, op: ClaimSteps) -> list[int]:
    """Lanes with PENDING steps that this claim may take, at most LANES_AT_ONCE."""
    if () in (op.kinds, op.queues):
        return []
    tx.show_ready()
    names = (*(op.kinds or ()), *(op.queues or ()))
    found = _lanes(tx, _ready_sql("ready_lanes", op), (*names, LANES_AT_ONCE + 1))
    if len(found) > LANES_AT_ONCE:
        sql = _ready_sql("ready_lanes_in_turn", op)
        found = _lanes(tx, sql, (*names, tx.lanes.turn, LANES_AT_ONCE))
        if len(found) < LANES_AT_ONCE:
            found += _lanes(tx, sql, (*names, 0, LANES_AT_ONCE - len(found)))
        tx.lanes.turn = found[-1]
    return found


def any_ready(tx: Tx) -> bool:
    """Whether any lane has PENDING steps, whoever may run them."""
    return bool(_lanes(tx, _named("ready_lanes", None, None), (1,)))


def _lanes(tx: Tx, sql: str, values: Sequence[str | int]) -> list[int]:
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


def _doubtful(tx: Tx, rows: Sequence[Row]) -> list[StepId]:
    doubt = _doubt(tx)
    if max(map(_CRASHES, rows), default=0) < doubt:
        return []
    return [StepId(_ID(row)) for row in rows if _CRASHES(row) >= doubt]


def _cut_to_size(rows: list[Row]) -> bool:
    """Leaves CLAIM_BYTES of payload, or one row."""
    if sum(map(len, map(_PAYLOAD, rows))) <= CLAIM_BYTES:
        return False
    sizes = accumulate(map(len, map(_PAYLOAD, rows)))
    del rows[max(1, sum(size <= CLAIM_BYTES for size in sizes)) :]
    return True


def _account(tx: Tx, rows: Sequence[Row], ids: str, holder: str) -> None:
    lanes = set(map(_LANE, rows))
    for lane in lanes:
        here = ids if len(lanes) == 1 else [_ID(row) for row in rows if _LANE(row) == lane]
        tx.move(lane, PENDING, CLAIMED, len(rows) if len(lanes) == 1 else len(here))
        tx.event("claimed", here, lane, holder)


def _taken(tx: Tx, rows: Sequence[Row], fence: Fence) -> Taken:
    names = {lane: tx.lane_name(lane) for lane in set(map(_LANE, rows))}
    return Taken(len(rows), partial(_claims, rows, names, fence))


def _claims(rows: Sequence[Row], names: Mapping[int, tuple[str, str]], fence: Fence) -> list[Claim]:
    claims: list[Claim] = []
    for step_id, lane, payload, metadata, *rest in rows:
        queue, kind = names[lane]
        about = json.loads(metadata) if metadata else NO_METADATA
        values = (step_id, fence, kind, queue, payload, about, *rest[:-1])
        claims.append(tuple.__new__(Claim, values))  # half the time of Claim(*values)
    return claims
