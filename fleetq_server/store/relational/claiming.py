"""What every claim is, in whatever SQL it is made."""

import hashlib
import json
from collections.abc import Sequence

from fleetq_server.errors import LeaseLost
from fleetq_server.model import Fence, HolderStatus
from fleetq_server.store.base import ClaimSteps
from fleetq_server.store.relational.tx import CLAIMED, PENDING, Row, Tx

LANES_AT_ONCE = 64  # beyond this many non-empty lanes, they are served in turns
SWEEP_LIMIT = 200
CLAIM_BYTES = 3 * 1024 * 1024  # what one answer can carry


def holder_of(status: list[Row]) -> str:
    """The holder's id, from its row of status and id.

    Raises:
        LeaseLost: it is not alive.
    """
    if not status or status[0][0] in (HolderStatus.DEAD, HolderStatus.GONE):
        raise LeaseLost("expired", "this holder was declared dead: begin anew with a new holder id")
    return str(status[0][1])


def fence_for(tx: Tx, op: ClaimSteps) -> Fence:
    """One fence for all claims of one call: no two calls can claim the same attempt of a step.

    A call that may be repeated derives it from its request id, so that any pod can tell the repeat.
    """
    if op.request_id is None:
        return Fence(tx.rules.rng.getrandbits(63))
    name = f"{op.holder}:{op.request_id}".encode()
    digest = hashlib.blake2b(name, digest_size=8, key=tx.rules.secret).digest()
    return Fence(int.from_bytes(digest, "big") >> 1)


def doubt(tx: Tx) -> int:
    """After so many crashes a step is poison, or was beside it each time."""
    return max(1, tx.rules.max_crashes - 1)


def account(tx: Tx, ids: str, lanes: Sequence[int], holder: str) -> None:
    """Counts claimed steps, given as JSON, each of the lane at its place."""
    for lane in set(lanes):
        here: str | list[int] = ids
        count = lanes.count(lane)
        if count < len(lanes):
            here = [one for one, its in zip(json.loads(ids), lanes, strict=True) if its == lane]
        tx.move(lane, PENDING, CLAIMED, count)
        tx.event("claimed", here, lane, holder)
