"""The values FLEET-Q speaks in. Times are seconds since the epoch (UTC), durations are seconds.

Values made once per step on the hot path are named tuples: as immutable as a frozen
dataclass, and made in a third of the time.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple, NewType

StepId = NewType("StepId", int)
HolderKey = NewType("HolderKey", int)  # the store's number for a holder; never leaves the pod
Fence = NewType("Fence", int)

_TOKEN = struct.Struct(">QQ")


class StepState(StrEnum):
    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    CLAIMED = "CLAIMED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def terminal(self) -> bool:
        return self in TERMINAL


TERMINAL = frozenset({StepState.COMPLETED, StepState.FAILED, StepState.CANCELLED})


class Cause(StrEnum):
    """Why a step is in the DLQ."""

    HANDLER_ERROR = "handler_error"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    UNKNOWN_KIND = "unknown_kind"
    INVALID_PAYLOAD = "invalid_payload"


class HolderType(StrEnum):
    POD = "pod"
    WORKER = "worker"


class HolderStatus(StrEnum):
    LIVE = "live"
    DRAINING = "draining"
    DEAD = "dead"  # declared dead: fenced for ever, a new incarnation must register
    GONE = "gone"  # left in good order


class Verdict(StrEnum):
    """What a write with a claim token met."""

    OK = "ok"
    CANCEL_REQUESTED = "cancel_requested"  # still the holder's, but it should stop
    SUPERSEDED = "superseded"  # lost: somebody else holds the step now
    EXPIRED = "expired"  # lost: the holder was declared dead or the attempt ran out of time
    CANCELLED = "cancelled"  # lost: the step was cancelled
    FINISHED = "finished"  # lost: the attempt already ended in another way

    @property
    def lost(self) -> bool:
        return self not in (Verdict.OK, Verdict.CANCEL_REQUESTED)


class Ending(IntEnum):
    """How the latest attempt ended, kept beside its fence so that a repeat gets the same answer."""

    COMPLETED = 1
    FAILED = 2
    RELEASED = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failures (never crashes) are retried.

    The n-th failure waits `min(max_delay, initial_delay * multiplier ** (n - 1))` seconds,
    spread by ± `jitter` (a fraction, 0..1). An error whose class name is in
    `non_retryable` goes to the DLQ at once.
    """

    max_attempts: int = 3
    initial_delay: float = 1.0
    multiplier: float = 2.0
    max_delay: float = 300.0
    jitter: float = 0.1
    non_retryable: tuple[str, ...] = ()


DEFAULT_RETRY = RetryPolicy()
NO_METADATA: Mapping[str, str] = {}


class NewStep(NamedTuple):
    """One step to submit."""

    kind: str
    payload: bytes = b""
    queue: str = "default"
    metadata: Mapping[str, str] = NO_METADATA
    priority: int = 0  # higher runs first; -1000..1000
    run_at: float | None = None
    timeout: float | None = None  # per attempt
    retry: RetryPolicy = DEFAULT_RETRY
    idempotency_key: str | None = None


class Submitted(NamedTuple):
    step_id: StepId
    deduplicated: bool


class Result(NamedTuple):
    data: bytes
    json: bool  # whether data is JSON text


class Claim(NamedTuple):
    """A holder's right to one attempt of one step."""

    step_id: StepId
    fence: Fence
    kind: str
    queue: str
    payload: bytes
    metadata: Mapping[str, str]
    idempotency_key: str | None
    attempt: int  # 1 for the first
    priority: int
    timeout: float | None
    created_at: float
    claimed_at: float

    @property
    def token(self) -> bytes:
        return make_token(self.step_id, self.fence)


def make_token(step_id: StepId, fence: Fence) -> bytes:
    """The opaque claim token clients see."""
    return _TOKEN.pack(step_id, fence)


def read_token(token: bytes) -> tuple[StepId, Fence] | None:
    """The parts of a claim token, or None if it was not made here."""
    if len(token) != _TOKEN.size:
        return None
    step_id, fence = _TOKEN.unpack(token)
    return (StepId(step_id), Fence(fence)) if max(step_id, fence) < 2**63 else None


class Completion(NamedTuple):
    step_id: StepId
    fence: Fence
    result: Result | None = None


class Failure(NamedTuple):
    step_id: StepId
    fence: Fence
    cause: Cause
    error: str  # class name of the error, matched against `non_retryable`
    message: str
    retryable: bool = True
    retry_delay: float | None = None  # overrides the policy's backoff


class Release(NamedTuple):
    """Gives a claim back unspent: the attempt does not count."""

    step_id: StepId
    fence: Fence


class Progress(NamedTuple):
    step_id: StepId
    fence: Fence
    data: bytes


@dataclass(frozen=True, slots=True)
class Attempt:
    """One ended attempt that did not complete."""

    attempt: int
    holder: str
    started_at: float
    ended_at: float
    cause: Cause
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Step:
    """All that is recorded of one step."""

    step_id: StepId
    kind: str
    queue: str
    state: StepState
    payload: bytes
    metadata: Mapping[str, str]
    priority: int
    idempotency_key: str | None
    retry: RetryPolicy
    timeout: float | None
    attempt: int
    failures: int
    crashes: int
    created_at: float
    run_at: float | None
    claimed_at: float | None
    finished_at: float | None
    holder: str | None
    cancel_requested: bool
    progress: bytes | None
    result: Result | None
    cause: Cause | None
    error: str | None
    message: str | None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps to list; empty fields match everything."""

    queue: str | None = None
    kind: str | None = None
    states: frozenset[StepState] = frozenset()


@dataclass(frozen=True, slots=True)
class DeadFilter:
    """Which DLQ entries to list, redrive or purge; empty fields match everything."""

    queue: str | None = None
    kind: str | None = None
    cause: Cause | None = None
    error: str | None = None
    died_before: float | None = None
    died_after: float | None = None
    step_ids: tuple[StepId, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """A step that reached a terminal state, as WaitSteps reports it."""

    step_id: StepId
    state: StepState
    result: Result | None
    cause: Cause | None
    error: str | None
    message: str | None
    attempt: int


@dataclass(frozen=True, slots=True)
class NewHolder:
    """One incarnation of a pod or worker that wants to hold claims."""

    holder_id: str  # random boot id, 32 hex digits; never a host name
    type: HolderType
    name: str = ""
    address: str = ""  # where a pod serves gRPC; empty for workers
    pid: int = 0
    version: str = ""
    max_parallelism: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """A registered holder. `beats` grows with every heartbeat: liveness is judged by
    watching it move against one's own monotonic clock, so a jump of the wall clock kills nobody."""

    key: HolderKey
    holder_id: str
    type: HolderType
    name: str
    address: str
    pid: int
    version: str
    max_parallelism: int
    status: HolderStatus
    born_at: float
    beat_at: float
    beats: int
    running: int


@dataclass(frozen=True, slots=True)
class Leadership:
    """Who leads, and its term; term 0 means nobody has led yet."""

    term: int
    holder_id: str | None
    since: float | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Steps by state; `submitted` equals the sum of all others, at every instant."""

    submitted: int = 0
    scheduled: int = 0
    pending: int = 0
    claimed: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    pruned: int = 0

    @property
    def conserved(self) -> bool:
        rest = self.scheduled + self.pending + self.claimed + self.completed
        return self.submitted == rest + self.failed + self.cancelled + self.pruned


@dataclass(frozen=True, slots=True)
class QueueStats:
    queue: str
    paused: bool
    counts: Counts


@dataclass(frozen=True, slots=True)
class Stats:
    """O(1) counters of the whole fleet."""

    totals: Counts
    queues: tuple[QueueStats, ...]
    leadership: Leadership
    live_pods: int
    store: Mapping[str, float] = field(default_factory=dict)  # store-specific gauges (wal_bytes …)


EVENT_TYPES = (
    "submitted",
    "claimed",
    "completed",
    "retrying",
    "released",
    "dead",
    "cancelled",
    "recovered",
    "redriven",
    "pruned",
    "purged",
    "paused",
    "resumed",
    "pod_joined",
    "pod_left",
    "pod_draining",
    "pod_dead",
    "leader",
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, of one of EVENT_TYPES; what one transaction did to many steps of one
    lane is one event."""

    seq: int
    at: float
    type: str
    queue: str | None
    holder: str | None
    term: int | None
    step_ids: tuple[StepId, ...]
    detail: Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class BeatReply:
    """What a heartbeat brought back."""

    alive: bool  # False: declared dead, every claim is lost, register anew
    draining: bool = False
    cancels: tuple[tuple[StepId, Fence], ...] = ()
    verdicts: tuple[Verdict, ...] = ()  # one per claim asked about, in order


@dataclass(frozen=True, slots=True)
class Audit:
    """A full scan against the counters."""

    counted: Counts
    scanned: Counts
    problems: tuple[str, ...]  # empty when everything agrees
