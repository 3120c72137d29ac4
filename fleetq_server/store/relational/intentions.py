"""What answers each operation, but for the two hottest, which every store writes its own way."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fleetq_server.errors import FleetError
from fleetq_server.store import base
from fleetq_server.store.base import Op
from fleetq_server.store.relational import deadletters, holding, leading, settling, submitting
from fleetq_server.store.relational.tx import Tx

AnyTx = TypeVar("AnyTx", bound=Tx)
Intentions = Mapping[type, Callable[[AnyTx, Any], object]]

SHARED: Intentions[Tx] = {
    base.Submit: submitting.submit,
    base.Cancel: submitting.cancel,
    base.SetPaused: submitting.set_paused,
    base.Fail: settling.fail,
    base.ReleaseSteps: settling.release,
    base.Register: holding.register,
    base.Beat: holding.beat,
    base.Drain: holding.drain,
    base.Leave: holding.leave,
    base.Elect: holding.elect,
    base.Resign: holding.resign,
    base.Recover: leading.recover,
    base.ExpireAttempts: leading.expire_attempts,
    base.Prune: leading.prune,
    base.Redrive: deadletters.redrive,
    base.Purge: deadletters.purge,
}


def answer(run: Intentions[AnyTx], tx: AnyTx, op: Op) -> object:
    """The answer, or the error that refuses this one operation."""
    try:
        return run[type(op)](tx, op)
    except FleetError as refused:
        return refused
