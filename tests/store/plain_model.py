"""What a store should do, in plain Python: no SQL, no counters, no indexes; obvious, and slow."""

from collections import Counter
from dataclasses import dataclass, field

from fleetq_server.model import Ending, HolderKey, NewStep, StepId, StepState, Verdict

Token = tuple[StepId, int]
WAITING = (StepState.SCHEDULED, StepState.PENDING)
MAX_CRASHES = 3


@dataclass
class ModelStep:
    new: NewStep
    state: StepState
    run_at: float | None
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    cancel: bool = False
    token: Token | None = None
    ending: Ending | None = None
    holder: HolderKey | None = None
    expires_at: float | None = None
    ended_at: float | None = None
    result: bytes | None = None
    reported: set[Token] = field(default_factory=set)

    def end(self, state: StepState, now: float) -> None:
        self.state = state
        self.holder = self.expires_at = None
        self.ended_at = now if state.terminal else None

    def give_back(self, now: float) -> None:
        self.end(StepState.CANCELLED if self.cancel else StepState.PENDING, now)


@dataclass
class Model:
    now: float
    steps: dict[StepId, ModelStep] = field(default_factory=dict)
    pruned: int = 0
    submitted: int = 0
    paused: set[str] = field(default_factory=set)

    def submit(self, step_id: StepId, new: NewStep) -> None:
        assert step_id not in self.steps
        assert step_id > max(self.steps, default=0)
        late = new.run_at is not None and new.run_at > self.now
        state = StepState.SCHEDULED if late else StepState.PENDING
        self.steps[step_id] = ModelStep(new, state, new.run_at)
        self.submitted += 1

    def claimable(self, kinds: tuple[str, ...] | None, limit: int) -> list[StepId]:
        for step in self.steps.values():
            if step.state is StepState.SCHEDULED and (step.run_at or 0) <= self.now:
                step.state = StepState.PENDING
        found = [
            step_id
            for step_id, step in self.steps.items()
            if step.state is StepState.PENDING
            and step.new.queue not in self.paused
            and (kinds is None or step.new.kind in kinds)
        ]
        return sorted(found, key=lambda i: (-self.steps[i].new.priority, i))[:limit]

    def claim(self, token: Token, holder: HolderKey) -> None:
        step = self.steps[token[0]]
        step.state, step.token, step.ending, step.holder = StepState.CLAIMED, token, None, holder
        step.attempt += 1
        step.expires_at = None if step.new.timeout is None else self.now + step.new.timeout

    def holds(self, token: Token) -> bool:
        step = self.steps.get(token[0])
        return step is not None and step.state is StepState.CLAIMED and step.token == token

    def complete(self, token: Token, result: bytes) -> Verdict:
        if not self.holds(token):
            return self.refusal(token, Ending.COMPLETED)
        step = self.steps[token[0]]
        step.end(StepState.COMPLETED, self.now)
        step.ending, step.result = Ending.COMPLETED, result
        return Verdict.OK

    def release(self, token: Token) -> Verdict:
        if not self.holds(token):
            return self.refusal(token, Ending.RELEASED)
        step = self.steps[token[0]]
        step.give_back(self.now)
        step.attempt -= 1
        step.ending = Ending.RELEASED
        return Verdict.OK

    def fail(self, token: Token, retryable: bool) -> Verdict:
        step = self.steps.get(token[0])
        if step is not None and token in step.reported:
            return Verdict.OK
        if step is None or not self.holds(token):
            return self.refusal(token, Ending.FAILED)
        self._fail(step, retryable)
        step.reported.add(token)
        step.ending = Ending.FAILED
        return Verdict.OK

    def _fail(self, step: ModelStep, retryable: bool) -> None:
        step.failures += 1
        policy = step.new.retry
        if step.cancel:
            step.end(StepState.CANCELLED, self.now)
        elif retryable and step.failures < policy.max_attempts:
            step.end(StepState.SCHEDULED, self.now)
            step.run_at = self.now + policy.initial_delay * policy.multiplier ** (step.failures - 1)
        else:
            step.end(StepState.FAILED, self.now)

    def refusal(self, token: Token, ending: Ending) -> Verdict:
        step = self.steps.get(token[0])
        if step is None:
            return Verdict.FINISHED
        if step.token == token:
            if step.ending is ending:
                return Verdict.OK
            cancelled = step.state is StepState.CANCELLED
            return Verdict.CANCELLED if cancelled else Verdict.FINISHED
        if step.state in WAITING:
            return Verdict.EXPIRED
        others = {StepState.CLAIMED: Verdict.SUPERSEDED, StepState.CANCELLED: Verdict.CANCELLED}
        return others.get(step.state, Verdict.FINISHED)

    def expire(self, grace: float) -> int:
        late = [
            step
            for step in self.steps.values()
            if step.expires_at is not None and step.expires_at < self.now - grace
        ]
        for step in late:
            self._fail(step, retryable=True)
            step.token = None
        return len(late)

    def cancel(self, step_id: StepId) -> StepState | None:
        step = self.steps.get(step_id)
        if step is None:
            return None
        if step.state in WAITING:
            step.end(StepState.CANCELLED, self.now)
        elif step.state is StepState.CLAIMED:
            step.cancel = True
        return step.state

    def die(self, holder: HolderKey) -> int:
        held = [step for step in self.steps.values() if step.holder == holder]
        for step in held:
            step.crashes += 1
            step.token = None
            if not step.cancel and step.crashes >= MAX_CRASHES:
                step.end(StepState.FAILED, self.now)
            else:
                step.give_back(self.now)
        return len(held)

    def leave(self, holder: HolderKey) -> None:
        for step in self.steps.values():
            if step.holder == holder and step.token is not None:
                self.release(step.token)

    def in_state(self, *states: StepState) -> list[StepId]:
        return [step_id for step_id, step in self.steps.items() if step.state in states]

    def redrive(self, step_id: StepId, run_at: float | None) -> None:
        step = self.steps[step_id]
        step.state = StepState.PENDING if run_at is None else StepState.SCHEDULED
        step.run_at = run_at
        step.failures = step.crashes = 0
        step.token = step.ending = step.ended_at = None
        step.cancel = False

    def forget(self, step_id: StepId) -> None:
        del self.steps[step_id]
        self.pruned += 1

    def counts(self) -> Counter[StepState]:
        return Counter(step.state for step in self.steps.values())
