"""A pod's use of its store, without the pod: one transaction after the other, in this thread."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from fleetq_server.bench.fleet import url_of
from fleetq_server.bench.handlers import KINDS, NOOP
from fleetq_server.bench.seed import PAYLOAD
from fleetq_server.model import Claim, Completion, HolderKey, HolderType, NewHolder, NewStep
from fleetq_server.store import open_store
from fleetq_server.store.base import ClaimSteps, Complete, Op, Register, Submit


class Writer:
    """One holder of claims, and its connection."""

    def __init__(self, store: Path | str, holder_id: str = "0" * 32) -> None:
        self._store = open_store(url_of(store))
        (key,) = self._store.apply(
            [Register(NewHolder(holder_id, HolderType.POD, "", "", 0, "", 1))]
        ).answers
        assert isinstance(key, int)
        self.key = HolderKey(key)
        self._claim = 0
        self._claims: list[Claim] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._store.close()

    def turn(self, ops: Sequence[Op] = (), *, claim: int = 0) -> int:
        """One transaction: completes what the last one claimed, does `ops`, and claims up to
        `claim` steps. Returns how many it claimed."""
        done = [Completion(claim.step_id, claim.fence) for claim in self._claims]
        self.keep()
        self._claim = claim
        self._store.apply([Complete(done), *ops] if done else ops, [self])
        self._store.maintain()
        return len(self._claims)

    def keep(self) -> None:
        """The next turn does not complete what the last one claimed."""
        self._claims = []

    # --- as a standing claim ---

    def wanted(self, _contended: bool = False) -> ClaimSteps | None:
        return ClaimSteps(self.key, self._claim, KINDS) if self._claim else None

    def granted(self, claims: list[Claim]) -> None:
        self._claims = claims

    def deliver(self, claims: list[Claim]) -> None:
        """There is no event loop; `granted` has told of them."""


def submission(number: int, steps: int) -> Submit:
    """A request as a client sends it; no two of the same number."""
    return Submit([NewStep(NOOP, PAYLOAD)] * steps, f"{number:032}")
