"""The client of a cluster: FLEET-Q's own, and every call it makes is in the history."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from fleetq_server.client import AsyncClient, Client, Grant, StepOutcome, WaitResult
from fleetq_server.client.sync import LoopThread
from fleetq_server.errors import NotFound, Unavailable
from fleetq_server.model import (
    Completion,
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
    """A Client whose calls are recorded as invoked, then as ok, failed, or of unknown outcome.

    What goes through `aio`, or through a client the test makes itself, is not.
    """

    def __init__(
        self, addresses: Iterable[str], recorder: Recorder, name: str, loop: LoopThread
    ) -> None:
        # One loop for all of them: grpc.aio wakes every loop of a process for each call of any,
        # and the others then log errors, https://github.com/grpc/grpc/issues/25364.
        self.aio = AsyncClient(addresses)
        self._thread = loop
        self._recorder = recorder
        self._name = name

    def close(self) -> None:
        with suppress(Unavailable):  # the loop has ended already
            self.run(self.aio.close())

    def _operation(self, name: str, **value: object) -> OpenOperation:
        # A history's process does one thing at a time; a client may be used by many threads.
        process = f"{self._name}/{threading.get_ident()}"
        return self._recorder.operation(process, name, **value)

    # --- submitting ---

    def submit(self, kind: str, payloads: Iterable[object], **options: Any) -> list[str]:
        items = list(payloads)
        with self._operation("submit", count=len(items), **_asked(kind, options)) as operation:
            step_ids = super().submit(kind, items, **options)
            operation.ok(step_ids=[int(each) for each in step_ids])
        return step_ids

    def submit_one(self, kind: str, payload: object = b"", **options: Any) -> str:
        with self._operation("submit", count=1, **_asked(kind, options)) as operation:
            step_id = super().submit_one(kind, payload, **options)
            operation.ok(step_ids=[int(step_id)])
        return step_id

    def submit_steps(self, steps: Iterable[NewStep], **options: Any) -> "list[Submitted]":
        items = list(steps)
        about = [_new_step(step) for step in items]
        with self._operation("submit", count=len(items), steps=about) as operation:
            submitted = super().submit_steps(items, **options)
            operation.ok(step_ids=[each.step_id for each in submitted])
        return submitted

    def cancel(self, step_ids: Iterable[AnyId], **options: Any) -> "list[StepState | None]":
        ids = [int(step_id) for step_id in step_ids]
        with self._operation("cancel", step_ids=ids) as operation:
            states = super().cancel(ids, **options)
            operation.ok(states=states)
        return states

    # --- reading ---

    def get(self, step_id: AnyId, **options: Any) -> Step:
        with self._operation("get", step_id=int(step_id)) as operation:
            try:
                step = super().get(step_id, **options)
            except NotFound:
                operation.ok(missing=[int(step_id)])
                raise
            operation.ok(steps=[_step(step)])
        return step

    def wait(
        self, step_ids: Iterable[AnyId], *, timeout: float = 60.0, strict: bool = False
    ) -> WaitResult:
        ids = [str(step_id) for step_id in step_ids]
        with self._operation("wait", count=len(ids), timeout=timeout) as operation:
            result = super().wait(ids, timeout=timeout)
            operation.ok(steps=[_outcome(each) for each in result])
        if strict:
            result.raise_for_failures()
        return result

    def as_ended(
        self, step_ids: Iterable[AnyId], *, timeout: float = 60.0
    ) -> Iterator[StepOutcome]:
        ids = [str(step_id) for step_id in step_ids]
        seen: list[Item] = []
        with self._operation("wait", count=len(ids), timeout=timeout) as operation:
            try:
                for outcome in super().as_ended(ids, timeout=timeout):
                    seen.append(_outcome(outcome))
                    yield outcome
            except GeneratorExit:
                operation.ok(steps=seen)
                raise
            operation.ok(steps=seen)

    def dead(self, **options: Any) -> Iterator[Step]:
        seen: list[Item] = []
        with self._operation("dead") as operation:
            try:
                for step in super().dead(**options):
                    seen.append(_step(step))
                    yield step
            except GeneratorExit:
                operation.ok(steps=seen, all=False)
                raise
            operation.ok(steps=seen, all=not options.keys() - {"timeout"})

    def leader(self, **options: Any) -> Leadership:
        with self._operation("leader") as operation:
            found = super().leader(**options)
            operation.ok(term=found.term, holder=found.holder_id)
        return found

    # --- a worker's calls ---

    def claim_steps(self, holder_id: str, **options: Any) -> Grant:
        with self._operation("claim", holder=holder_id) as operation:
            grant = super().claim_steps(holder_id, **options)
            claims = [
                {"step_id": c.step_id, "fence": c.fence, "attempt": c.attempt} for c in grant.claims
            ]
            operation.ok(claims=claims)
        return grant

    def complete_steps(self, items: Sequence[Completion], **options: Any) -> "list[Verdict]":
        with self._operation("complete", count=len(items)) as operation:
            verdicts = super().complete_steps(items, **options)
            results = [fingerprint(i.result.data) if i.result else None for i in items]
            told = [
                {**_held(item, verdict), "result": result}
                for item, verdict, result in zip(items, verdicts, results, strict=True)
            ]
            operation.ok(items=told)
        return verdicts

    def fail_steps(self, items: Sequence[Failure], **options: Any) -> "list[Verdict]":
        with self._operation("fail", count=len(items)) as operation:
            verdicts = super().fail_steps(items, **options)
            told = [{**_held(i, v), **_failure(i)} for i, v in zip(items, verdicts, strict=True)]
            operation.ok(items=told)
        return verdicts

    def release_steps(self, items: Sequence[Release], **options: Any) -> "list[Verdict]":
        with self._operation("release", count=len(items)) as operation:
            verdicts = super().release_steps(items, **options)
            operation.ok(items=[_held(i, v) for i, v in zip(items, verdicts, strict=True)])
        return verdicts

    # --- steering ---

    def redrive(self, **options: Any) -> "list[str]":
        with self._operation("redrive", dry_run=options.get("dry_run", False)) as operation:
            step_ids = super().redrive(**options)
            operation.ok(step_ids=[int(each) for each in step_ids])
        return step_ids

    def purge(self, **options: Any) -> "list[str]":
        with self._operation("purge", dry_run=options.get("dry_run", False)) as operation:
            step_ids = super().purge(**options)
            operation.ok(step_ids=[int(each) for each in step_ids])
        return step_ids


def _asked(kind: str, options: dict[str, Any]) -> Item:
    about: Item = {"kind": kind, "queue": options.get("queue", "default")}
    if options.get("run_at") is not None:
        about["run_at"] = options["run_at"]
    if "retry" in options:
        about["retry"] = _policy(options["retry"])
    return about


def _new_step(step: NewStep) -> Item:
    about: Item = {"kind": step.kind, "queue": step.queue, "retry": _policy(step.retry)}
    return about if step.run_at is None else {**about, "run_at": step.run_at}


def _policy(retry: RetryPolicy) -> Item:
    return {
        "max_attempts": retry.max_attempts,
        "initial_delay": retry.initial_delay,
        "multiplier": retry.multiplier,
        "max_delay": retry.max_delay,
        "jitter": retry.jitter,
        "non_retryable": retry.non_retryable,
    }


def _step(step: Step) -> Item:
    result = fingerprint(step.result.data) if step.result else None
    return _seen(step.step_id, step.state, result, step.cause, step.error)


def _outcome(outcome: StepOutcome) -> Item:
    result = None if outcome.data is None else fingerprint(outcome.data)
    return _seen(int(outcome.step_id), outcome.state, result, outcome.cause, outcome.error)


def _seen(step_id: int, state: str, result: object, cause: object, error: object) -> Item:
    return {"step_id": step_id, "state": state, "result": result, "cause": cause, "error": error}


def _held(item: Completion | Failure | Release, verdict: Verdict) -> Item:
    return {"step_id": item.step_id, "fence": item.fence, "verdict": verdict}


def _failure(item: Failure) -> Item:
    about: Item = {"cause": item.cause, "error": item.error, "retryable": item.retryable}
    return about if item.retry_delay is None else {**about, "retry_delay": item.retry_delay}
