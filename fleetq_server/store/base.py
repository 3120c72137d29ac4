"""What a store promises.

A store takes *intentions* (the operations below), any number of them in one transaction, and
answers each. `Store.apply` is the only way to write. Every method is synchronous and is called
from one writer thread (`apply`) and one reader thread (the reads); `now` is given by the
caller in tests, and read from the store's own clock when None.

An operation checks before it writes: a refusal (a FleetError) concerns that operation alone,
while a failure of the store itself rolls the whole group back and is raised as StoreUnavailable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from fleetq_server.errors import FleetError
from fleetq_server.model import (
    Audit,
    Cause,
    Claim,
    Completion,
    DeadFilter,
    Ended,
    Event,
    Failure,
    Holder,
    HolderKey,
    Leadership,
    NewHolder,
    NewStep,
    Progress,
    Release,
    Stats,
    Step,
    StepFilter,
    StepId,
)
from fleetq_server.store.peers import Doorbell, Presence

# --- operations: each names its answer --------------------------------------------------------


class Submit(NamedTuple):
    """All or none; of no steps, nothing. → list[Submitted], in order; IdempotencyConflict.

    The same `request_id` with the same content gives the first answer again.
    """

    steps: Sequence[NewStep]
    request_id: str | None = None


class ClaimSteps(NamedTuple):
    """→ list[Claim], highest priority first, then oldest; LeaseLost if the holder is dead.

    `kinds`/`queues` None: any. The same `request_id` from the same holder gives its claims
    of that request that are still live, again. `expired` holders are recovered first, a bounded
    number of their steps, so that claims make progress without a leader.
    """

    holder: HolderKey
    limit: int
    kinds: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    request_id: str | None = None
    expired: tuple["Suspect", ...] = ()


class Complete(NamedTuple):
    """→ list[Verdict], one per item."""

    items: Sequence[Completion]


class Fail(NamedTuple):
    """→ list[Verdict]. The store decides between retry and DLQ by the step's own policy."""

    items: Sequence[Failure]


class ReleaseSteps(NamedTuple):
    """→ list[Verdict]. The steps are PENDING again (or CANCELLED, if that was asked for)."""

    items: Sequence[Release]


class Register(NamedTuple):
    """→ HolderKey; the same holder_id again gives the same key, LeaseLost if it is dead."""

    holder: NewHolder


class Beat(NamedTuple):
    """→ BeatReply. One row written, whatever the number of claims."""

    holder: HolderKey
    running: int = 0
    progress: Sequence[Progress] = ()
    ask: Sequence[Release] = ()  # claims (step, fence) whose verdict the holder wants


class Leave(NamedTuple):
    """The holder left in good order; steps it still held are released. → None"""

    holder: HolderKey


class Drain(NamedTuple):
    """Asks a holder to drain (it learns it from its next beat). → None; NotFound"""

    holder_id: str


class Elect(NamedTuple):
    """Makes `holder` the leader if the term is still `seen_term` and no live pod is older,
    once `suspects` are declared dead. → Leadership as it is afterwards."""

    holder: HolderKey
    seen_term: int
    suspects: tuple["Suspect", ...] = ()


class Resign(NamedTuple):
    """→ None; nothing happens if the term is over already."""

    holder: HolderKey
    term: int


class Suspect(NamedTuple):
    """A holder to be declared dead. `beats` None: its death is proven; otherwise only if it
    has not beaten since it was seen at that count."""

    holder: HolderKey
    beats: int | None = None


class Recover(NamedTuple):
    """Declares holders dead and returns up to `limit` of dead holders' steps to PENDING, to the
    DLQ when their crash allowance is spent, or to CANCELLED when that was asked for.
    → number of steps recovered; less than `limit` means none is left. NotLeader."""

    holder: HolderKey
    term: int
    suspects: tuple[Suspect, ...] = ()
    limit: int = 1000


class ExpireAttempts(NamedTuple):
    """Ends claims whose attempt ran past its timeout plus `grace`, as failures with cause
    timeout. → number of steps. NotLeader."""

    holder: HolderKey
    term: int
    grace: float = 1.0
    limit: int = 500


class Cancel(NamedTuple):
    """→ list[StepState] afterwards, None where there is no such step. A CLAIMED one keeps
    its state until its holder gives it up."""

    step_ids: Sequence[StepId]


class SetPaused(NamedTuple):
    """Pauses or resumes a queue (also one with no steps yet). → None"""

    queue: str
    paused: bool


class Redrive(NamedTuple):
    """DLQ entries back to PENDING, oldest first, or spread at `rate` per second as SCHEDULED.
    → list[StepId]; `dry_run` changes nothing. The same request_id gives the same answer."""

    filter: DeadFilter
    limit: int = 1000
    rate: float | None = None
    dry_run: bool = False
    request_id: str | None = None


class Purge(NamedTuple):
    """Deletes DLQ entries and their steps, oldest first. → list[StepId]; `dry_run` changes
    nothing. The same request_id gives the same answer."""

    filter: DeadFilter
    limit: int = 1000
    dry_run: bool = False
    request_id: str | None = None


class Prune(NamedTuple):
    """Deletes a batch of COMPLETED and CANCELLED steps that ended before `before`, FAILED ones
    before `dead_before`, looking at no more than `limit` rows from where the last batch stopped;
    also old events, request ids and dead holders. → Pruned. NotLeader."""

    holder: HolderKey
    term: int
    before: float
    dead_before: float
    limit: int = 1000


class Pruned(NamedTuple):
    deleted: int
    wrapped: bool  # the end was reached: the next batch begins with the oldest step again


Op = (
    Submit
    | ClaimSteps
    | Complete
    | Fail
    | ReleaseSteps
    | Register
    | Beat
    | Leave
    | Drain
    | Elect
    | Resign
    | Recover
    | ExpireAttempts
    | Cancel
    | SetPaused
    | Redrive
    | Purge
    | Prune
)


@dataclass(slots=True)
class Applied:
    """What one committed group did."""

    answers: list[object | FleetError] = field(default_factory=list)
    ended: list[StepId] = field(default_factory=list)  # steps now in a terminal state
    cancelling: list[str] = field(default_factory=list)  # holder ids to be told of a cancel
    made_ready: bool = False  # some step became claimable
    grants: list[tuple["StandingClaim", list[Claim]]] = field(default_factory=list)
    left_ready: bool = False  # … and some may be so still, for other pods
    waited: float | None = None  # seconds for this pod's turn to write, where there are turns
    next_due: float | None = None  # run_at of the next SCHEDULED step


class Reader(Protocol):
    """The reads. Short transactions; none of them sees a half-done group."""

    def version(self) -> int:
        """A number that changes when anybody else commits."""
        ...

    def get_step(self, step_id: StepId) -> Step | None: ...

    def list_steps(self, filter: StepFilter, after: StepId | None, limit: int) -> list[Step]:
        """Newest first, ids below `after`; payloads and results included."""
        ...

    def ended(self, step_ids: Sequence[StepId]) -> list[Ended]:
        """Those of them that are terminal. Unknown ids are left out."""
        ...

    def unknown(self, step_ids: Sequence[StepId]) -> list[StepId]:
        """Those of them that do not exist (never did, or were pruned)."""
        ...

    def list_dead(self, filter: DeadFilter, after: StepId | None, limit: int) -> list[Step]:
        """Oldest id first, ids above `after`, with attempt history."""
        ...

    def dead_causes(self) -> Mapping[Cause, int]:
        """The DLQ by cause, those in it only; O(its entries)."""
        ...

    def holders(self, include_ended: bool = False) -> list[Holder]: ...

    def leadership(self) -> Leadership: ...

    def stats(self) -> Stats: ...

    def events(self, after: int, limit: int) -> list[Event]:
        """Oldest first, seq above `after`; after=-1 gives the newest one only."""
        ...

    def audit(self) -> Audit:
        """Scans everything; O(rows)."""
        ...

    def health(self) -> Mapping[str, str | int | float | bool]:
        """Facts for `fleetq doctor`."""
        ...

    def close(self) -> None: ...


class Store(Protocol):
    """One open store. Not shared between threads: see GroupWriter."""

    def apply(
        self,
        ops: Sequence[Op],
        standing: Sequence["StandingClaim"] = (),
        now: float | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Applied:
        """Runs all ops in one transaction, then lets each standing claim take what is ready.

        Calls `meanwhile` when this thread comes to wait, for its turn or for the disk: what it
        wakes has the interpreter to itself then. Not called if that never comes.

        Raises StoreUnavailable when nothing of it was written, or when that is not known.
        """
        ...

    def claimable(self, standing: Sequence["StandingClaim"], now: float | None = None) -> bool:
        """Whether a transaction for these standing claims might find something (a cheap read)."""
        ...

    def next_due(self) -> float | None:
        """run_at of the next SCHEDULED step."""
        ...

    def secret(self) -> bytes:
        """At least 16 random bytes, made with the store, that only its pods know."""
        ...

    def reader(self) -> Reader:
        """A connection for another thread."""
        ...

    def presence(self) -> Presence: ...

    def doorbell(self, holder_id: str) -> Doorbell: ...

    def unblock(self) -> None:
        """Called from another thread when a write has been waiting suspiciously long: frees what a
        frozen process may be holding."""
        ...

    def maintain(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Store upkeep between transactions that only the leader does (a checkpoint).

        Calls `meanwhile` as `apply` does.
        """
        ...

    def close(self) -> None: ...


class StandingClaim(Protocol):
    """Somebody who takes claims whenever some are ready."""

    def wanted(self, contended: bool = False) -> ClaimSteps | None:
        """The claim to try now, or None if there is no capacity. In the writer thread.

        `contended`: this transaction had to wait for others, as the next one may."""
        ...

    def granted(self, claims: list[Claim]) -> None:
        """The claims are committed. In the writer thread."""
        ...

    def deliver(self, claims: list[Claim]) -> None:
        """The same claims, on the event loop."""
        ...
