"""What answers each operation. Where pods can be in each other's way, a lock comes first; what it
protects is the same code as SQLite's."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fleetq_server.errors import FleetError
from fleetq_server.store import base
from fleetq_server.store.base import Op
from fleetq_server.store.postgres import claiming, completing
from fleetq_server.store.postgres.tx import PgTx
from fleetq_server.store.sqlite import deadletters, holding, leading, settling, submitting

T = TypeVar("T")


def _locked(lock: str, run: Callable[[PgTx, Any], T]) -> Callable[[PgTx, Any], T]:
    def locked(tx: PgTx, op: Any) -> T:
        tx.send(lock)
        return run(tx, op)

    return locked


RUN: Mapping[type, Callable[[PgTx, Any], object]] = {
    base.Submit: submitting.submit,
    base.Cancel: submitting.cancel,
    base.SetPaused: submitting.set_paused,
    base.ClaimSteps: claiming.claim,
    base.Complete: completing.complete,
    base.Fail: settling.fail,
    base.ReleaseSteps: settling.release,
    base.Register: holding.register,
    base.Beat: holding.beat,
    base.Drain: holding.drain,
    base.Leave: holding.leave,
    base.Elect: _locked("lock_election", holding.elect),
    base.Resign: holding.resign,
    base.Recover: _locked("lock_term", leading.recover),
    base.ExpireAttempts: _locked("lock_term", leading.expire_attempts),
    base.Prune: _locked("lock_term", leading.prune),
    base.Redrive: _locked("lock_dead", deadletters.redrive),
    base.Purge: _locked("lock_dead", deadletters.purge),
}


def answer(tx: PgTx, op: Op) -> object:
    try:
        return RUN[type(op)](tx, op)
    except FleetError as refused:
        return refused
