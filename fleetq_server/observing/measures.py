"""What a pod measures of its own work, counted once per transaction and never per call of a step.

Everything here happens on the event loop, so nothing needs a lock.
"""

from collections.abc import Iterable, Mapping, Sequence

from fleetq_server.clock import Clock
from fleetq_server.core.executor import Executor
from fleetq_server.model import Claim, Fence, StepId
from fleetq_server.observing.histogram import Counted, Histogram
from fleetq_server.store.base import Applied, Complete, Fail, Op, ReleaseSteps

SECONDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    3600,
)
WAIT_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
WRITES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

OUTCOMES: Mapping[type[Op], str] = {Complete: "completed", Fail: "failed", ReleaseSteps: "released"}


class Measures:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._claim = Histogram(SECONDS)
        self._commit = Histogram(WRITES)
        self._gate = Histogram(WAIT_SECONDS)
        self._executions = {outcome: Histogram(SECONDS) for outcome in OUTCOMES.values()}
        self._begun: dict[tuple[StepId, Fence], float] = {}  # of the claims this pod runs itself

    def committed(self, applied: Applied) -> None:
        """A transaction of this pod, before any of the claims it granted is begun."""
        size = 0
        for answer in applied.answers:
            if not isinstance(answer, list):
                size += 1
                continue
            size += len(answer)
            if answer and isinstance(answer[0], Claim):
                self._claimed(answer)
        for one, claims in applied.grants:
            size += len(claims)
            self._claimed(claims)
            if isinstance(one, Executor):
                self._begin(claims)
        self._commit.add(size)
        if applied.waited is not None:
            self._gate.add(applied.waited)

    def ended(self, ops: Sequence[Op]) -> None:
        """Outcomes of this pod's own handlers, on their way to the store."""
        now, begun = self._clock.monotonic(), self._begun
        for op in ops:
            assert isinstance(op, Complete | Fail | ReleaseSteps)
            mine = [claim for item in op.items if (claim := item[:2]) in begun]
            self._executions[OUTCOMES[type(op)]].add_all([now - begun.pop(one) for one in mine])

    def _claimed(self, claims: Iterable[Claim]) -> None:
        # A later attempt waited for its retry or for the recovery of its step too, on purpose.
        self._claim.add_all(
            [claim.claimed_at - claim.created_at for claim in claims if claim.attempt == 1]
        )

    def _begin(self, claims: Iterable[Claim]) -> None:
        self._begun.update(dict.fromkeys([claim[:2] for claim in claims], self._clock.monotonic()))

    # --- as of now ---

    def claim_latency(self) -> Counted:
        return self._claim.counted()

    def commit_sizes(self) -> Counted:
        return self._commit.counted()

    def gate_waits(self) -> Counted:
        return self._gate.counted()

    def executions(self) -> Mapping[str, Counted]:
        """By outcome."""
        return {outcome: one.counted() for outcome, one in self._executions.items()}
