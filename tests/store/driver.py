"""A store as tests speak to it: short words, a clock they hold in the hand, refusals raised."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from fleetq_server.errors import FleetError
from fleetq_server.model import (
    Cause,
    Claim,
    Completion,
    Counts,
    DeadFilter,
    Event,
    Failure,
    Fence,
    Holder,
    HolderKey,
    HolderType,
    Leadership,
    NewHolder,
    NewStep,
    Release,
    Result,
    Step,
    StepFilter,
    StepId,
    StepState,
    Submitted,
    Verdict,
)
from fleetq_server.store import base, open_store
from fleetq_server.store.base import Applied, Op, Reader, Store
from tests.store.databases import fresh_database

# Another store joins the suite with one more line: the URL of a fresh, empty one.
BACKENDS: Mapping[str, Callable[[Path], AbstractContextManager[str]]] = {
    "sqlite": lambda directory: nullcontext(f"sqlite:///{directory / 'fleet.db'}"),
    "postgresql": lambda _directory: fresh_database(),
}

START = 1_000_000.0
# Those that grow with what a fleet does, which no hot statement may walk through.
BIG_TABLES = frozenset(
    {"steps", "bodies", "results", "progress", "attempts"}
    | {"dead", "idempotency", "requests", "events"}
)
EVERYTHING = DeadFilter()

T = TypeVar("T")


class Driver:
    """One process's store, and the time it is told."""

    def __init__(self, url: str, *, seed: int = 0, **options: Any) -> None:
        self.url = url
        self.now = START
        self.store: Store = open_store(url, rng=Random(seed), **options)
        self.reader: Reader = self.store.reader()
        self._open = True

    def apply(self, *ops: Op) -> Applied:
        return self.store.apply(ops, now=self.now)

    def do(self, op: Op) -> Any:
        answer = self.apply(op).answers[0]
        if isinstance(answer, FleetError):
            raise answer
        return answer

    def later(self, seconds: float) -> None:
        self.now += seconds

    # --- steps ---

    def submit(self, *steps: NewStep, request_id: str | None = None) -> list[StepId]:
        answer: list[Submitted] = self.do(base.Submit(steps, request_id))
        return [one.step_id for one in answer]

    def claim(self, holder: HolderKey, limit: int = 1, **more: Any) -> list[Claim]:
        found: list[Claim] = self.do(base.ClaimSteps(holder, limit, **more))
        return found

    def claim_one(self, holder: HolderKey, **more: Any) -> Claim:
        (claim,) = self.claim(holder, 1, **more)
        return claim

    def complete(self, *claims: Claim, result: bytes | None = None) -> list[Verdict]:
        recorded = Result(result, False) if result is not None else None
        items = [Completion(claim.step_id, claim.fence, recorded) for claim in claims]
        return self._verdicts(base.Complete(items))

    def fail(
        self,
        *claims: Claim,
        error: str = "ValueError",
        cause: Cause = Cause.HANDLER_ERROR,
        **more: Any,
    ) -> list[Verdict]:
        items = [Failure(c.step_id, c.fence, cause, error, "it broke", **more) for c in claims]
        return self._verdicts(base.Fail(items))

    def release(self, *claims: Claim) -> list[Verdict]:
        return self._verdicts(base.ReleaseSteps([given_back(claim) for claim in claims]))

    def _verdicts(self, op: Op) -> list[Verdict]:
        answer: list[Verdict] = self.do(op)
        return answer

    def cancel(self, *step_ids: StepId) -> list[StepState | None]:
        answer: list[StepState | None] = self.do(base.Cancel(step_ids))
        return answer

    def step(self, step_id: StepId) -> Step:
        found = self.reader.get_step(step_id)
        assert found is not None, f"step {step_id} is not there"
        return found

    def state(self, step_id: StepId) -> StepState:
        return self.step(step_id).state

    def bury(self, *steps: NewStep, holder: HolderKey) -> list[StepId]:
        """Submits steps and fails them for good."""
        step_ids = self.submit(*steps)
        assert len(self.fail(*self.claim(holder, len(steps)), retryable=False)) == len(steps)
        return step_ids

    # --- the fleet ---

    def join(self, name: str, type: HolderType = HolderType.POD) -> HolderKey:
        key: HolderKey = self.do(base.Register(NewHolder(boot_id(name), type, name)))
        return key

    def lead(self, holder: HolderKey) -> int:
        """Makes `holder` the leader of a new term."""
        return self.take_over(holder)

    def take_over(self, holder: HolderKey, *dead: HolderKey) -> int:
        """Makes `holder` the leader of a new term over the bodies of its elders."""
        before = self.reader.leadership().term
        suspects = tuple(base.Suspect(one) for one in dead)
        after: Leadership = self.do(base.Elect(holder, before, suspects))
        assert after.term == before + 1, f"{holder} was not elected: {after}"
        return after.term

    def kill(self, leader: HolderKey, term: int, *holders: HolderKey, limit: int = 1000) -> int:
        """Declares holders dead, with proof, and recovers what they held."""
        suspects = tuple(base.Suspect(holder) for holder in holders)
        recovered: int = self.do(base.Recover(leader, term, suspects, limit))
        return recovered

    def holder(self, name: str) -> Holder:
        (found,) = [h for h in self.reader.holders(include_ended=True) if h.name == name]
        return found

    @property
    def counts(self) -> Counts:
        return self.reader.stats().totals

    def events(self, type: str | None = None) -> list[Event]:
        return [event for event in self.reader.events(0, 10_000) if type in (None, event.type)]

    def assert_sound(self) -> None:
        """The counters agree with a scan, nothing is orphaned, nothing lost."""
        audit = self.reader.audit()
        assert audit.problems == ()
        assert audit.counted == audit.scanned
        assert audit.counted.conserved

    def recorded(self) -> dict[str, object]:
        """Everything a store has recorded, as its reader tells it; equal means equal."""
        steps = self.reader.list_steps(StepFilter(), None, 100_000)
        stats = self.reader.stats()
        return {
            "steps": {step.step_id: step for step in steps},
            "dead": [step.step_id for step in self.reader.list_dead(EVERYTHING, None, 100_000)],
            "holders": self.reader.holders(include_ended=True),
            "queues": stats.queues,
            "leadership": stats.leadership,
            "events": self.reader.events(0, 100_000),
        }

    def close(self) -> None:
        if self._open:
            self._open = False
            self.reader.close()
            self.store.close()


def boot_id(name: str) -> str:
    return name.encode().hex().ljust(32, "0")


def given_back(claim: Claim) -> Release:
    return Release(claim.step_id, claim.fence)


def stale(claim: Claim) -> Claim:
    """The same step with a token that was never given out."""
    return claim._replace(fence=Fence(claim.fence ^ 1))


def ids(claims: Sequence[Claim]) -> list[StepId]:
    return [claim.step_id for claim in claims]
