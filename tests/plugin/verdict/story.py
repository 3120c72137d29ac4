"""Hand-made histories, told step by step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleetq_server.model import Event, StepId
from pytest_fleetq.verdict import (
    DEFAULT_CHECKERS,
    Context,
    History,
    Judgement,
    Recorder,
    Verdict,
    judge,
)

WALL = 1_790_000_000.0


class Story:
    """A recorder whose clock is turned by hand; every record takes a millisecond."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 100.0
        self.recorder = Recorder(path, clock=self._tick)
        self._seq = 0

    def _tick(self) -> float:
        self.now += 0.001
        return self.now

    def after(self, seconds: float) -> None:
        self.now += seconds

    def operation(self, name: str, process: str = "client", /, **value: object) -> None:
        """One that was asked and answered at once; its value is of both."""
        number = self.recorder.invoke(process, name, value)
        self.recorder.ok(number, name, value)

    def submit(self, *steps: int, **value: object) -> None:
        told = {"kind": "work", "queue": "default", "count": len(steps), **value}
        self.operation("submit", "client", **told, step_ids=list(steps))
        self.event("submitted", *steps)

    def claim(self, step: int, holder: str, fence: int, attempt: int = 1) -> None:
        claim = {"step_id": step, "fence": fence, "attempt": attempt}
        self.operation("claim", holder, holder=holder, claims=[claim])
        self.event("claimed", step, holder=holder)

    def write(self, name: str, step: int, holder: str, fence: int, **item: object) -> None:
        one = {"step_id": step, "fence": fence, "verdict": "ok", **item}
        self.operation(name, holder, holder=holder, items=[one])

    def read(self, step: int, state: str, **more: object) -> None:
        self.operation("get", steps=[{"step_id": step, "state": state, **more}])

    def event(
        self,
        type: str,
        /,
        *steps: int,
        holder: str | None = None,
        term: int | None = None,
        at: float | None = None,
        queue: str | None = "default",
        seq: int | None = None,
        **detail: str | float,
    ) -> None:
        self._seq += 1
        moment = WALL + self.now if at is None else at
        ids = tuple(map(StepId, steps))
        number = self._seq if seq is None else seq
        self.recorder.event(Event(number, moment, type, queue, holder, term, ids, detail))

    def life(self, step: int, holder: str = "a", fence: int = 1) -> None:
        """Submitted, claimed by a remote worker, completed, and read."""
        self.submit(step)
        self.claim(step, holder, fence)
        self.write("complete", step, holder, fence, result="r")
        self.event("completed", step)
        self.read(step, "COMPLETED", result="r")

    def journal(self) -> None:
        self.operation("journal", "harness", after=0, through=self._seq)

    def join(self, holder: str, **detail: Any) -> None:
        self.event("pod_joined", holder=holder, **detail)

    def die(self, holder: str) -> None:
        self.event("pod_dead", holder=holder)

    def end(self, rest: float = 60.0) -> None:
        """Nothing happens for a while, and then the test is over."""
        self.after(rest)
        self.recorder.phase("teardown")
        self.journal()

    @contextmanager
    def fault(
        self, name: str = "pause", target: str = "pod-1", proof: bool = True
    ) -> Iterator[None]:
        number = self.recorder.fault_start(name, target)
        yield
        if proof:
            self.recorder.fault_effect(number, state="T")
        self.recorder.fault_end(number)

    def told(self) -> History:
        return History.load(self.path)

    def judged(self, context: Context | None = None) -> Judgement:
        return judge(self.told(), DEFAULT_CHECKERS, context)

    def blamed(self, context: Context | None = None, verdict: Verdict = Verdict.FAIL) -> set[str]:
        """Names of the checkers with that verdict."""
        judged = self.judged(context)
        return {result.checker for result in judged.results if result.verdict is verdict}

    def is_fine(self, context: Context | None = None) -> None:
        judged = self.judged(context)
        assert judged.verdict is Verdict.PASS, judged.describe()

    def blames(self, checker: str, context: Context | None = None) -> None:
        """That one, no other, and it tells where."""
        judged = self.judged(context)
        assert self.blamed(context) == {checker}, judged.describe()
        for finding in judged[checker].findings:
            assert finding.problem
            assert all(0 < line <= self.told().lines for line in finding.lines)

    def doubts(self, checker: str, context: Context | None = None) -> None:
        """That one cannot tell, and all others can."""
        judged = self.judged(context)
        assert self.blamed(context) == set(), judged.describe()
        assert self.blamed(context, Verdict.UNKNOWN) == {checker}, judged.describe()
