"""Any sequence of operations leaves every store where plain Python says it should be."""

import os
import shutil
import tempfile
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from fleetq_server.model import (
    Claim,
    DeadFilter,
    HolderKey,
    NewStep,
    RetryPolicy,
    StepId,
    StepState,
    Verdict,
)
from fleetq_server.store.base import ExpireAttempts, Leave, Prune, Purge, Redrive, SetPaused
from tests.store.driver import BACKENDS, EVERYTHING, START, Driver
from tests.store.plain_model import Model, ModelStep

SURE = RetryPolicy(max_attempts=2, initial_delay=2.0, jitter=0.0)
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # nothing here is about syncs
KINDS = ("a", "b")
QUEUES = ("x", "y")

new_steps = st.builds(
    NewStep,
    kind=st.sampled_from(KINDS),
    queue=st.sampled_from(QUEUES),
    priority=st.integers(-1, 1),
    run_at=st.none() | st.integers(-2, 9).map(lambda seconds: START + seconds),
    timeout=st.none() | st.just(3.0),
    retry=st.just(SURE),
    payload=st.just(b"p"),
    metadata=st.just({}),
    idempotency_key=st.none(),
)


class StoreMachine(RuleBasedStateMachine):
    backend = "sqlite"

    holders = Bundle("holders")
    claims = Bundle("claims")
    steps = Bundle("steps")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=MEMORY))
        self.place = BACKENDS[self.backend](self.directory)
        self.fleet = Driver(self.place.__enter__())
        self.model = Model(START)
        self.numbers = count()
        self.leader = self.fleet.join("leader")
        self.term = self.fleet.lead(self.leader)

    def teardown(self) -> None:
        self.fleet.close()
        self.place.__exit__(None, None, None)
        shutil.rmtree(self.directory)

    @initialize(target=holders)
    def first_holder(self) -> HolderKey:
        return self.leader

    @rule(target=holders)
    def join(self) -> HolderKey:
        return self.fleet.join(f"holder{next(self.numbers)}")

    @rule(seconds=st.sampled_from([0.5, 1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.fleet.later(seconds)
        self.model.now = self.fleet.now

    @rule(target=steps, new=st.lists(new_steps, min_size=1, max_size=4))
    def submit(self, new: list[NewStep]) -> MultipleResults[StepId]:
        step_ids = self.fleet.submit(*new)
        for step_id, step in zip(step_ids, new, strict=True):
            self.model.submit(step_id, step)
        return multiple(*step_ids)

    @rule(
        target=claims,
        holder=holders,
        limit=st.integers(1, 4),
        kinds=st.none() | st.just(("b", "c")),
        repeatable=st.booleans(),
    )
    def claim(
        self, holder: HolderKey, limit: int, kinds: tuple[str, ...] | None, repeatable: bool
    ) -> MultipleResults[Claim]:
        request_id = f"request{next(self.numbers)}" if repeatable else None
        expected = self.model.claimable(kinds, limit)
        claims = self.fleet.claim(holder, limit, kinds=kinds, request_id=request_id)
        assert [claim.step_id for claim in claims] == expected
        for claim in claims:
            self.model.claim((claim.step_id, claim.fence), holder)
            assert claim.attempt == self.model.steps[claim.step_id].attempt
        if request_id is not None and claims:
            assert self.fleet.claim(holder, limit, kinds=kinds, request_id=request_id) == claims
        return multiple(*claims)

    @rule(claim=claims, result=st.binary(max_size=2))
    def complete(self, claim: Claim, result: bytes) -> None:
        expected = self.model.complete((claim.step_id, claim.fence), result)
        assert self.fleet.complete(claim, result=result) == [expected]

    @rule(claim=claims, retryable=st.booleans())
    def fail(self, claim: Claim, retryable: bool) -> None:
        expected = self.model.fail((claim.step_id, claim.fence), retryable)
        assert self.fleet.fail(claim, retryable=retryable) == [expected]

    @rule(claim=claims)
    def release(self, claim: Claim) -> None:
        expected = self.model.release((claim.step_id, claim.fence))
        assert self.fleet.release(claim) == [expected]

    @rule(old=claims, new=claims)
    def complete_two_at_once(self, old: Claim, new: Claim) -> None:
        tokens = [(claim.step_id, claim.fence) for claim in (old, new)]
        held = [self.model.holds(token) for token in tokens]
        self.model.complete(tokens[0], b"two")
        self.model.complete(tokens[1], b"two")
        verdicts = self.fleet.complete(old, new, result=b"two")
        assert [
            verdict is Verdict.OK for verdict, had in zip(verdicts, held, strict=True) if had
        ] == [True for had in held if had]

    @rule(step_id=steps)
    def cancel(self, step_id: StepId) -> None:
        assert self.fleet.cancel(step_id) == [self.model.cancel(step_id)]

    @rule(holder=consumes(holders))
    def die(self, holder: HolderKey) -> None:
        expected = self.model.die(holder)
        if holder == self.leader:
            others = [one.key for one in self.fleet.reader.holders() if one.key != holder]
            new = others[0] if others else self.fleet.join(f"leader{next(self.numbers)}")
            self.leader, self.term = new, self.fleet.take_over(new, holder)
        assert self.fleet.kill(self.leader, self.term, holder) == expected

    @rule(holder=consumes(holders))
    def leave(self, holder: HolderKey) -> None:
        if holder == self.leader:
            return
        self.model.leave(holder)
        self.fleet.do(Leave(holder))

    @rule()
    def expire(self) -> None:
        assert self.fleet.do(ExpireAttempts(self.leader, self.term, 1.0)) == self.model.expire(1.0)

    @rule(queue=st.sampled_from(QUEUES), paused=st.booleans())
    def pause(self, queue: str, paused: bool) -> None:
        (self.model.paused.add if paused else self.model.paused.discard)(queue)
        self.fleet.do(SetPaused(queue, paused))

    @rule(limit=st.integers(1, 3), rate=st.none() | st.just(0.5))
    def redrive(self, limit: int, rate: float | None) -> None:
        expected = sorted(self.model.in_state(StepState.FAILED))[:limit]
        assert self.fleet.do(Redrive(EVERYTHING, limit, rate)) == expected
        for index, step_id in enumerate(expected):
            late = rate is not None and index > 0
            self.model.redrive(step_id, self.model.now + index / rate if late and rate else None)

    @rule(kind=st.sampled_from(KINDS))
    def purge(self, kind: str) -> None:
        dead = sorted(self.model.in_state(StepState.FAILED))
        expected = [step_id for step_id in dead if self.model.steps[step_id].new.kind == kind]
        assert self.fleet.do(Purge(DeadFilter(kind=kind))) == expected
        for step_id in expected:
            self.model.forget(step_id)

    @rule(age=st.sampled_from([0.0, 2.0]), dead_too=st.booleans())
    def prune(self, age: float, dead_too: bool) -> None:
        before = self.model.now - age
        states = [
            StepState.COMPLETED,
            StepState.CANCELLED,
            *([StepState.FAILED] if dead_too else []),
        ]
        old = [
            i for i in self.model.in_state(*states) if (self.model.steps[i].ended_at or 0) < before
        ]
        for step_id in old:
            self.model.forget(step_id)
        pruned = self.fleet.do(Prune(self.leader, self.term, before, before if dead_too else 0.0))
        assert (pruned.deleted, pruned.wrapped) == (len(old), True)

    @rule()
    def reopen(self) -> None:
        self.fleet.close()
        now, self.fleet = self.fleet.now, Driver(self.fleet.url, seed=next(self.numbers))
        self.fleet.now = now

    @invariant()
    def counters_agree(self) -> None:
        self.fleet.assert_sound()
        counts, expected = self.fleet.counts, self.model.counts()
        assert {state: getattr(counts, state.lower()) for state in StepState} == {
            state: expected[state] for state in StepState
        }
        assert (counts.submitted, counts.pruned) == (self.model.submitted, self.model.pruned)

    @invariant()
    def steps_agree(self) -> None:
        for step_id, expected in self.model.steps.items():
            step = self.fleet.step(step_id)
            told = (step.state, step.attempt, step.failures, step.crashes, step.finished_at)
            assert told == _told(expected), f"step {step_id}"
            assert (step.result.data if step.result else None) == expected.result
            assert (step.cause is not None) == (expected.state is StepState.FAILED)


def _told(step: ModelStep) -> tuple[object, ...]:
    return (step.state, step.attempt, step.failures, step.crashes, step.ended_at)


QUICK = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.mark.parametrize(("backend", "examples"), [("sqlite", 40), ("postgresql", 8)])
def test_a_store_does_what_plain_python_does(backend: str, examples: int) -> None:
    _run(backend, settings(QUICK, max_examples=examples))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_store_does_what_plain_python_does_for_long(backend: str) -> None:
    _run(backend, settings(QUICK, max_examples=200, stateful_step_count=80))


def _run(backend: str, how: settings) -> None:
    machine = type("Machine", (StoreMachine,), {"backend": backend})
    run_state_machine_as_test(machine, settings=how)
