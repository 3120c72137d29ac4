"""What calls bring that the model has no word for."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fleetq_server.errors import FleetError
from fleetq_server.model import (
    BeatReply,
    Cause,
    Claim,
    Ended,
    HolderStatus,
    HolderType,
    StepId,
    StepState,
)


class StepsFailed(FleetError):
    """Steps that were waited for failed, were cancelled, or did not end in time.

    Attributes:
        result: The WaitResult it is about.
    """

    def __init__(self, result: "WaitResult") -> None:
        super().__init__(result.describe())
        self.result = result


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """How one step ended.

    `data` is what the handler gave, as it is kept; `is_json` whether that is JSON text.
    `cause`, `error` and `message` are set where state is FAILED.
    """

    step_id: str
    state: StepState
    data: bytes | None
    is_json: bool
    cause: Cause | None
    error: str | None
    message: str | None
    attempt: int

    @classmethod
    def of(cls, ended: Ended) -> "StepOutcome":
        data, is_json = ended.result if ended.result is not None else (None, False)
        return cls(
            step_id=str(ended.step_id),
            state=ended.state,
            data=data,
            is_json=is_json,
            cause=ended.cause,
            error=ended.error,
            message=ended.message,
            attempt=ended.attempt,
        )

    @property
    def ok(self) -> bool:
        return self.state is StepState.COMPLETED

    @property
    def value(self) -> object:
        """What the handler returned: decoded if it was JSON, otherwise bytes, or None."""
        return json.loads(self.data) if self.is_json and self.data is not None else self.data

    def describe(self) -> str:
        if self.state is not StepState.FAILED:
            return f"step {self.step_id} {self.state.lower()}"
        why = ": ".join(part for part in (self.error, self.message) if part)
        return f"step {self.step_id} failed ({self.cause}) at attempt {self.attempt}: {why}"


@dataclass(frozen=True, slots=True)
class WaitResult:
    """What became of the steps waited for; iterates over the outcomes of those that ended."""

    results: Mapping[str, StepOutcome]  # by step id
    pending: tuple[str, ...]  # not ended within the wait, in the order asked

    def __iter__(self) -> Iterator[StepOutcome]:
        return iter(self.results.values())

    def __getitem__(self, step_id: StepId | int | str) -> StepOutcome:
        """The outcome of one step; KeyError if it has not ended, or was not asked for."""
        return self.results[str(step_id)]

    def __len__(self) -> int:
        return len(self.results) + len(self.pending)

    @property
    def completed(self) -> int:
        return self._count(StepState.COMPLETED)

    @property
    def failed(self) -> int:
        return self._count(StepState.FAILED)

    @property
    def cancelled(self) -> int:
        return self._count(StepState.CANCELLED)

    @property
    def ok(self) -> bool:
        """Whether every one of them completed."""
        return self.completed == len(self)

    def raise_for_failures(self) -> None:
        """Raises StepsFailed unless every step completed."""
        if not self.ok:
            raise StepsFailed(self)

    def describe(self) -> str:
        counts = (
            f"{self.completed} of {len(self)} steps completed, {self.failed} failed, "
            f"{self.cancelled} cancelled, {len(self.pending)} still open"
        )
        bad = next((outcome for outcome in self if not outcome.ok), None)
        return f"{counts}; first: {bad.describe()}" if bad else counts

    def _count(self, state: StepState) -> int:
        return sum(outcome.state is state for outcome in self)


@dataclass(frozen=True, slots=True)
class Pod:
    """A registered pod or worker, as the fleet shows it."""

    pod_id: str
    type: HolderType
    name: str
    address: str
    pid: int
    version: str
    max_parallelism: int
    status: HolderStatus
    born_at: float
    beat_at: float
    running: int
    leader: bool


class Grant(NamedTuple):
    """What a claim brought."""

    claims: list[Claim]
    draining: bool  # the pod that answered is draining: claim elsewhere
    heartbeat_interval: float
    dead_threshold: float


@dataclass(frozen=True, slots=True)
class TimedBeatReply(BeatReply):
    """A heartbeat's answer with the times the pod asks the holder to keep."""

    next_interval: float = 1.0
    dead_threshold: float = 5.0
