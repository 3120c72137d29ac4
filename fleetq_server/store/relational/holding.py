"""Holders and leadership: who is here, who leads."""

from fleetq_server.errors import LeaseLost, NotFound, NotLeader
from fleetq_server.model import BeatReply, Fence, HolderKey, HolderStatus, Leadership, StepId
from fleetq_server.store.base import Beat, Drain, Elect, Leave, Register, Resign
from fleetq_server.store.relational.recovering import declare_dead
from fleetq_server.store.relational.settling import account_released, ask
from fleetq_server.store.relational.tx import Tx


def register(tx: Tx, op: Register) -> HolderKey:
    new = op.holder
    if found := tx.run("find_holder", new.holder_id):
        key, status = found[0]
        if status in (HolderStatus.DEAD, HolderStatus.GONE):
            raise LeaseLost(
                "expired", "this holder was declared dead: begin anew with a new holder id"
            )
        return HolderKey(key)
    values = (
        new.holder_id,
        new.type,
        new.name,
        new.address,
        new.pid,
        new.version,
        new.max_parallelism,
    )
    key = tx.run("insert_holder", *values, tx.now, tx.now)[0][0]
    about = {"type": new.type, "name": new.name, "address": new.address}
    tx.fleet_event("pod_joined", about, holder=new.holder_id)
    return HolderKey(key)


def beat(tx: Tx, op: Beat) -> BeatReply:
    status = tx.run("beat", op.holder, tx.now, op.running)
    if not status:
        return BeatReply(alive=False)
    for item in op.progress:
        tx.run("put_progress", item.step_id, item.fence, item.data)
    return BeatReply(
        alive=True,
        draining=status[0][0] == HolderStatus.DRAINING,
        cancels=tuple((StepId(row[0]), Fence(row[1])) for row in tx.run("cancelling", op.holder)),
        verdicts=tuple(ask(tx, op.ask)) if op.ask else (),
    )


def drain(tx: Tx, op: Drain) -> None:
    found = tx.run("find_holder", op.holder_id)
    if not found or found[0][1] in (HolderStatus.DEAD, HolderStatus.GONE):
        raise NotFound("pod", op.holder_id)
    tx.run("set_status", found[0][0], HolderStatus.DRAINING)
    tx.applied.cancelling.append(op.holder_id)
    tx.fleet_event("pod_draining", holder=op.holder_id)


def leave(tx: Tx, op: Leave) -> None:
    found = tx.run("holder_status", op.holder)
    if not found or found[0][0] not in (HolderStatus.LIVE, HolderStatus.DRAINING):
        return
    account_released(tx, tx.run("release_held", op.holder, tx.now))
    tx.run("set_status", op.holder, HolderStatus.GONE)
    tx.fleet_event("pod_left", holder=found[0][1])


def elect(tx: Tx, op: Elect) -> Leadership:
    declare_dead(tx, op.suspects)
    current = leadership(tx)
    eldest = tx.run("eldest_pod")
    if current.term != op.seen_term or not eldest or eldest[0][0] != op.holder:
        return current
    term = tx.run("set_leader", op.holder, tx.now, op.seen_term)[0][0]
    holder_id = tx.run("holder_status", op.holder)[0][1]
    tx.fleet_event("leader", holder=holder_id, term=term)
    return Leadership(term, holder_id, tx.now)


def resign(tx: Tx, op: Resign) -> None:
    tx.run("resign", op.holder, op.term, tx.now)


def leadership(tx: Tx) -> Leadership:
    term, _, since, holder_id = tx.run("leadership")[0]
    return Leadership(term, holder_id, since)


def check_term(tx: Tx, holder: HolderKey, term: int) -> None:
    """In the same transaction as what the leader is about to do."""
    now_term, now_holder, *_ = tx.run("leadership")[0]
    if (now_term, now_holder) != (term, holder):
        raise NotLeader(f"term {term} is over, it is term {now_term}: stop acting as leader")
