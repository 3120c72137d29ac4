"""What answers each operation. Where pods can be in each other's way, a lock comes first; what it
protects is the same code as SQLite's."""

from collections.abc import Callable
from typing import Any

from fleetq_server.store import base
from fleetq_server.store.postgres import claiming, settling
from fleetq_server.store.postgres.tx import PgTx
from fleetq_server.store.relational.intentions import SHARED, Intentions

_LOCKS = {
    "lock_election": (base.Elect,),
    "lock_term": (base.Recover, base.ExpireAttempts, base.Prune),
    "lock_dead": (base.Redrive, base.Purge),
}


def _locked(lock: str, run: Callable[[PgTx, Any], object]) -> Callable[[PgTx, Any], object]:
    def locked(tx: PgTx, op: Any) -> object:
        tx.send(lock)
        return run(tx, op)

    return locked


RUN: Intentions[PgTx] = {
    **SHARED,
    base.ClaimSteps: claiming.claim,
    base.Complete: settling.complete,
    base.ReleaseSteps: settling.release,
    **{op: _locked(lock, SHARED[op]) for lock, ops in _LOCKS.items() for op in ops},
}
