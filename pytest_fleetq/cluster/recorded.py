"""The client of a cluster: FLEET-Q's own, and every call it makes is in the history.

Recorded is what goes over the wire: `submit` as the `submit_steps` it makes, `wait` as its looks.
So it does not matter which face is used, the synchronous one, `aio`, or a worker made from that.
"""

import heapq
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from typing import Any

from fleetq_server.client import AsyncClient, Client, Grant
from fleetq_server.client.loop import LoopShare
from fleetq_server.errors import NotFound, Unavailable
from fleetq_server.model import (
    DEFAULT_RETRY,
    Completion,
    Ended,
    Failure,
    Leadership,
    NewStep,
    Release,
    RetryPolicy,
    Step,
    StepState,
    Submitted,
    Verdict,
)
from pytest_fleetq.verdict.recorder import OpenOperation, Recorder, fingerprint

Item = dict[str, object]
AnyId = int | str


class RecordedClient(Client):
    """A Client whose calls are recorded as invoked, then as ok, failed, or of unknown outcome."""

    def __init__(
        self, addresses: Iterable[str], recorder: Recorder, name: str, loop: LoopShare
    ) -> None:
        # One loop for all of them: grpc.aio wakes every loop of a process for each call of any,
        # and the others then log errors, https://github.com/grpc/grpc/issues/25364.
        self.aio = RecordedAsyncClient(addresses, recorder, name)
        self._thread = loop

    def close(self) -> None:
        with suppress(Unavailable):  # the loop has ended already
            self.run(self.aio.close())


class RecordedAsyncClient(AsyncClient):
    """The same for asyncio."""

    def __init__(self, addresses: Iterable[str], recorder: Recorder, name: str) -> None:
        super().__init__(addresses)
        self._recorder = recorder
        self._name = name
        self._processes = count(1)
        self._idle: list[int] = []  # those of them that do nothing now

    # --- submitting ---

    async def submit_one(self, kind: str, payload: object = b"", **options: Any) -> str:
        about = _by_options(kind, options)
        with self._operation("submit", count=1, **about) as operation:
            step_id = await super().submit_one(kind, payload, **options)
            operation.ok(step_ids=[int(step_id)])
        return step_id

    async def submit_steps(self, steps: Iterable[NewStep], **options: Any) -> "list[Submitted]":
        items = list(steps)
        with self._operation("submit", count=len(items), **_asked(items)) as operation:
            submitted = await super().submit_steps(items, **options)
            operation.ok(step_ids=[each.step_id for each in submitted])
        return submitted

    async def cancel(self, step_ids: Iterable[AnyId], **options: Any) -> "list[StepState | None]":
        ids = [int(step_id) for step_id in step_ids]
        with self._operation("cancel", step_ids=ids) as operation:
            states = await super().cancel(ids, **options)
            operation.ok(states=states)
        return states

    # --- reading ---

    async def get(self, step_id: AnyId, **options: Any) -> Step:
        with self._operation("get", step_id=int(step_id)) as operation:
            try:
                step = await super().get(step_id, **options)
            except NotFound:
                operation.ok(missing=[int(step_id)])
                raise
            operation.ok(steps=[_step(step)])
        return step

    async def wait_steps(self, step_ids: Sequence[AnyId], **options: Any) -> "list[Ended]":
        with self._operation("wait", count=len(step_ids)) as operation:
            ended = await super().wait_steps(step_ids, **options)
            operation.ok(steps=[_step(each) for each in ended])
        return ended

    async def dead(self, **options: Any) -> AsyncGenerator[Step, None]:
        everything = not options.keys() - {"timeout"}
        async for step in self._listed("dead", super().dead(**options), everything):
            yield step

    async def leader(self, **options: Any) -> Leadership:
        with self._operation("leader") as operation:
            found = await super().leader(**options)
            operation.ok(term=found.term, holder=found.holder_id)
        return found

    # --- a worker's calls ---

    async def claim_steps(self, holder_id: str, **options: Any) -> Grant:
        with self._operation("claim", holder=holder_id) as operation:
            grant = await super().claim_steps(holder_id, **options)
            claims = [
                {"step_id": c.step_id, "fence": c.fence, "attempt": c.attempt} for c in grant.claims
            ]
            operation.ok(claims=claims)
        return grant

    async def complete_steps(self, items: Sequence[Completion], **options: Any) -> "list[Verdict]":
        with self._operation("complete", items=[_completion(item) for item in items]) as operation:
            verdicts = await super().complete_steps(items, **options)
            operation.ok(items=_judged(map(_completion, items), verdicts))
        return verdicts

    async def fail_steps(self, items: Sequence[Failure], **options: Any) -> "list[Verdict]":
        with self._operation("fail", items=[_failure(item) for item in items]) as operation:
            verdicts = await super().fail_steps(items, **options)
            operation.ok(items=_judged(map(_failure, items), verdicts))
        return verdicts

    async def release_steps(self, items: Sequence[Release], **options: Any) -> "list[Verdict]":
        with self._operation("release", items=[_held(item) for item in items]) as operation:
            verdicts = await super().release_steps(items, **options)
            operation.ok(items=_judged(map(_held, items), verdicts))
        return verdicts

    # --- steering ---

    async def redrive(self, **options: Any) -> "list[str]":
        dry = options.get("dry_run", False)
        with self._operation("redrive", dry_run=dry) as operation:
            step_ids = await super().redrive(**options)
            operation.ok(step_ids=[int(each) for each in step_ids])
        return step_ids

    async def purge(self, **options: Any) -> "list[str]":
        dry = options.get("dry_run", False)
        with self._operation("purge", dry_run=dry) as operation:
            step_ids = await super().purge(**options)
            operation.ok(step_ids=[int(each) for each in step_ids])
        return step_ids

    # Last, because in the class body it hides the builtin from whatever follows.
    async def list(self, **options: Any) -> AsyncGenerator[Step, None]:
        async for step in self._listed("list", super().list(**options), False):
            yield step

    async def _listed(
        self, name: str, steps: AsyncGenerator[Step, None], everything: bool
    ) -> AsyncGenerator[Step, None]:
        with self._operation(name) as operation:
            seen: list[Item] = []
            try:
                async for step in steps:
                    seen.append(_step(step))
                    yield step
            except GeneratorExit:  # whoever asked has seen enough
                operation.ok(steps=seen, all=False)
                raise
            operation.ok(steps=seen, all=everything)

    @contextmanager
    def _operation(self, name: str, **value: object) -> Iterator[OpenOperation]:
        # A history's process does one thing at a time; a client may do many.
        process = heapq.heappop(self._idle) if self._idle else next(self._processes)
        try:
            with self._recorder.operation(f"{self._name}/{process}", name, **value) as operation:
                yield operation
        finally:
            heapq.heappush(self._idle, process)


def _asked(steps: Sequence[NewStep]) -> Item:
    """How a submit describes its steps: once, if all are alike."""
    about = [_new_step(step) for step in steps]
    return about[0] if about and about.count(about[0]) == len(about) else {"steps": about}


def _new_step(step: NewStep) -> Item:
    return _described(step.kind, step.queue, step.run_at, step.retry)


def _by_options(kind: str, options: dict[str, Any]) -> Item:
    retry: RetryPolicy = options.get("retry", DEFAULT_RETRY)
    return _described(kind, options.get("queue", "default"), options.get("run_at"), retry)


def _described(kind: str, queue: str, run_at: float | None, retry: RetryPolicy) -> Item:
    about: Item = {"kind": kind, "queue": queue}
    if run_at is not None:
        about["run_at"] = run_at
    if retry != DEFAULT_RETRY:
        about["retry"] = asdict(retry)
    return about


def _step(step: Step | Ended) -> Item:
    return {
        "step_id": step.step_id,
        "state": step.state,
        "result": fingerprint(step.result.data) if step.result else None,
        "cause": step.cause,
        "error": step.error,
    }


def _judged(items: Iterable[Item], verdicts: Iterable[Verdict]) -> list[Item]:
    return [{**item, "verdict": verdict} for item, verdict in zip(items, verdicts, strict=True)]


def _held(item: Completion | Failure | Release) -> Item:
    return {"step_id": item.step_id, "fence": item.fence}


def _completion(item: Completion) -> Item:
    return {**_held(item), "result": fingerprint(item.result.data) if item.result else None}


def _failure(item: Failure) -> Item:
    about = {"cause": item.cause, "error": item.error, "retryable": item.retryable}
    delay = {} if item.retry_delay is None else {"retry_delay": item.retry_delay}
    return {**_held(item), **about, **delay}
