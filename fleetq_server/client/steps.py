"""Calls about steps: submit, follow, cancel."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Unpack

from fleetq_server.client.batches import (
    StepOptions,
    after,
    groups,
    new_step,
    new_steps,
    payload_of,
)
from fleetq_server.client.calls import (
    AnyStepId,
    Calls,
    chunks,
    new_request_id,
    pages,
    wire_ids,
)
from fleetq_server.client.coalesce import Coalescer
from fleetq_server.client.convert import (
    from_cancelled,
    from_ended,
    from_step,
    from_submitted,
    to_list_request,
    to_new_steps,
)
from fleetq_server.client.link import Link
from fleetq_server.client.results import StepOutcome, WaitResult
from fleetq_server.client.scalars import naming, to_duration, to_step_id
from fleetq_server.errors import (
    ClientClosed,
    DeadlineExceeded,
    FleetError,
    Unavailable,
)
from fleetq_server.model import (
    Ended,
    NewStep,
    Step,
    StepFilter,
    StepState,
    Submitted,
)
from fleetq_server.pb import step_pb2, step_service_pb2

PAGE_OF_STEPS = 100  # each may carry 512 KiB of payload and result
FIRST_LOOK = 1.0
LONGEST_LOOK = 20.0
LOOK_MARGIN = 2.0
EARLY_ANSWER_PAUSE = 0.05


class StepCalls(Calls):
    """Submits steps and follows them to their end."""

    def __init__(self, link: Link) -> None:
        super().__init__(link)
        self._submits = Coalescer[step_pb2.NewStep, step_service_pb2.SubmittedStep](self._send)

    async def submit(
        self,
        kind: str,
        payloads: Iterable[object],
        *,
        idempotency_keys: Iterable[str | None] | None = None,
        timeout: float | None = None,
        **options: Unpack[StepOptions],
    ) -> list[str]:
        """Submits one step of `kind` per payload; all other options are the same for all of them.

        Concurrent calls travel together. Up to 1000 steps (and 3 MiB) are all or none; more of
        them go one thousand after the other, and an error then leaves the thousands before it
        submitted, which its note says. When the fleet is overloaded, waits and repeats.

        Args:
            kind: Which handler runs the steps.
            payloads: bytes are taken as they are, anything else is sent as JSON.
            idempotency_keys: One per payload, or None; a key used before gives that step again.
            timeout: Seconds to spend on this call.
            queue: "default" unless given.
            metadata: Up to 32 strings that travel with the step.
            priority: -1000 to 1000; higher runs first.
            run_at: Not before this time, in seconds since the epoch.
            attempt_timeout: The longest one attempt may take, in seconds.
            retry: How failures are retried; the fleet's default unless given.

        Returns:
            The step ids, in the order of the payloads.

        Raises:
            InvalidArgument: A field is wrong; it is named as in `steps[3].queue`.
            IdempotencyConflict: A key was used before, with other content.
            Overloaded: The fleet had no room for them until the deadline.
            Unavailable: No pod took them; DeadlineExceeded: none answered in time.
        """
        steps = new_steps(kind, payloads, idempotency_keys, options)
        return [str(each.step_id) for each in await self.submit_steps(steps, timeout=timeout)]

    async def submit_one(
        self,
        kind: str,
        payload: object = b"",
        *,
        idempotency_key: str | None = None,
        timeout: float | None = None,
        **options: Unpack[StepOptions],
    ) -> str:
        """Submits one step; arguments and errors are those of `submit`."""
        step = new_step(kind, payload_of(0, payload), idempotency_key, options)
        return str((await self._submit_alone(to_new_steps((step,)), timeout)).step_id)

    async def submit_steps(
        self,
        steps: Iterable[NewStep],
        *,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> list[Submitted]:
        """Submits steps that may differ in everything; otherwise like `submit`.

        Args:
            steps: The steps; their order is that of the answer.
            request_id: Sends them, at most 1000, in a request of their own under this id. The
                same id with the same steps gives the same answer, so a caller whose outcome is
                unknown can repeat it.
            timeout: Seconds to spend on this call.

        Raises:
            The same as `submit`.
        """
        messages = to_new_steps(steps)
        if len(messages) == 1 and request_id is None:
            return [await self._submit_alone(messages, timeout)]
        limit = self._link.timeout if timeout is None else timeout
        if request_id is not None:
            return [from_submitted(m) for m in await self._send(messages, limit, request_id)]
        return await self._submit_many(messages, limit)

    async def get(self, step_id: AnyStepId, *, timeout: float | None = None) -> Step:
        """One step, whole.

        Raises:
            NotFound: It never existed, or was pruned.
        """
        request = step_service_pb2.GetStepRequest(step_id=to_step_id(step_id))
        answer = await self._link.call(lambda s: s.steps.GetStep, request, timeout)
        return from_step(answer.step)

    async def cancel(
        self, step_ids: Iterable[AnyStepId], *, timeout: float | None = None
    ) -> list[StepState | None]:
        """Cancels steps that wait at once, and asks the holders of CLAIMED ones to stop.

        Returns:
            Their states afterwards, in the order given; None where there is no such step.
        """
        ids = [to_step_id(step_id) for step_id in step_ids]
        states: list[StepState | None] = []
        for chunk in chunks(ids):
            request = step_service_pb2.CancelStepsRequest(step_ids=chunk)
            answer = await self._link.call(lambda s: s.steps.CancelSteps, request, timeout)
            states.extend(from_cancelled(outcome) for outcome in answer.outcomes)
        return states

    async def wait(
        self,
        step_ids: Iterable[AnyStepId],
        *,
        timeout: float = 60.0,
        strict: bool = False,
    ) -> WaitResult:
        """Waits until all these steps have ended, any number of them, or the time is over.

        Steps that did not end in time are no error: they are in the result's `pending`.

        Args:
            step_ids: What to wait for.
            timeout: Seconds; 0 looks once.
            strict: Raise StepsFailed unless every step completed.

        Raises:
            NotFound: One of them never existed, or was pruned.
            StepsFailed: See `strict`.
            Unavailable: No pod could be asked until the time was over.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        asked = wire_ids(step_ids)
        outcomes: dict[str, StepOutcome] = {}
        for chunk in chunks(asked):
            async for ended in self._follow(chunk, deadline, any_one=False):
                outcomes[str(ended.step_id)] = StepOutcome.of(ended)
        result = WaitResult(outcomes, tuple(each for each in asked if each not in outcomes))
        if strict:
            result.raise_for_failures()
        return result

    async def as_ended(
        self, step_ids: Iterable[AnyStepId], *, timeout: float = 60.0
    ) -> AsyncGenerator[StepOutcome, None]:
        """Gives each outcome as soon as its step has ended, until all have or the time is over.

        More than 1000 ids are followed a thousand after the other, in the order given.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        for chunk in chunks(wire_ids(step_ids)):
            async for ended in self._follow(chunk, deadline, any_one=True):
                yield StepOutcome.of(ended)

    async def wait_steps(
        self,
        step_ids: Sequence[AnyStepId],
        *,
        wait: float = 0.0,
        any_one: bool = False,
        timeout: float | None = None,
    ) -> list[Ended]:
        """One WaitSteps call for 1 to 1000 steps: those that have ended after at most `wait` s."""
        request = step_service_pb2.WaitStepsRequest(
            step_ids=[to_step_id(step_id) for step_id in step_ids], any=any_one
        )
        with naming("wait"):
            request.wait.CopyFrom(to_duration(wait))
        limit = wait + self._link.timeout if timeout is None else timeout
        answer = await self._link.call(
            lambda s: s.steps.WaitSteps, request, limit, outlast_overload=True
        )
        return [from_ended(ended) for ended in answer.ended]

    async def _follow(
        self, step_ids: Sequence[str], deadline: float, *, any_one: bool
    ) -> AsyncGenerator[Ended, None]:
        """The ends of these steps, by looks of growing length: when the pod that was asked hangs
        or is gone, a short look loses little and the next one asks another pod."""
        now = asyncio.get_running_loop().time
        open_ids = dict.fromkeys(step_ids)
        look, heard = FIRST_LOOK, now()
        while open_ids:
            begun = now()
            wait = max(0.0, min(look, deadline - begun))
            try:
                ended = await self.wait_steps(
                    tuple(open_ids), wait=wait, any_one=any_one, timeout=wait + LOOK_MARGIN
                )
            except DeadlineExceeded:
                if now() >= deadline:
                    return  # the last look went to a pod that hangs
                continue
            except ClientClosed:
                raise
            except Unavailable:
                if now() >= min(deadline, heard + self._link.patience):
                    raise
                continue
            for each in ended:
                open_ids.pop(to_step_id(each.step_id), None)
                yield each
            if begun >= deadline:
                return
            heard, look = now(), min(LONGEST_LOOK, 2 * look)
            if not ended and heard < begun + wait / 2:  # a draining pod answers before its time
                await asyncio.sleep(EARLY_ANSWER_PAUSE)

    async def _submit_alone(
        self, messages: list[step_pb2.NewStep], timeout: float | None
    ) -> Submitted:
        limit = self._link.timeout if timeout is None else timeout
        return from_submitted((await self._submits.put(messages, messages[0].ByteSize(), limit))[0])

    async def _submit_many(
        self, steps: Sequence[step_pb2.NewStep], limit: float
    ) -> list[Submitted]:
        now = asyncio.get_running_loop().time
        deadline = now() + limit
        done: list[Submitted] = []
        for group, size in groups(steps):
            try:
                answers = await self._submits.put(group, size, deadline - now())
            except FleetError as error:
                raise after(len(done), error) from error.__cause__
            done.extend(from_submitted(answer) for answer in answers)
        return done

    async def _send(
        self, steps: Sequence[step_pb2.NewStep], timeout: float, request_id: str | None = None
    ) -> Sequence[step_service_pb2.SubmittedStep]:
        request = step_service_pb2.SubmitStepsRequest(
            request_id=request_id or new_request_id(), steps=steps
        )
        answer = await self._link.call(
            lambda s: s.steps.SubmitSteps, request, timeout, outlast_overload=True
        )
        return answer.steps

    # Last, because in the class body it hides the builtin from whatever follows.
    def list(
        self,
        *,
        queue: str | None = None,
        kind: str | None = None,
        states: Iterable[StepState] = (),
        limit: int | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Step, None]:
        """Steps, newest first, fetched as they are consumed.

        Args:
            queue: Only this queue.
            kind: Only this kind.
            states: Only these states; all if empty.
            limit: At most so many.
            timeout: Seconds to spend on each page.
        """
        chosen = StepFilter(queue, kind, frozenset(states))

        async def fetch(token: str, size: int) -> tuple[list[Step], str]:
            request = to_list_request(chosen, min(size, PAGE_OF_STEPS), token)
            answer = await self._link.call(lambda s: s.steps.ListSteps, request, timeout)
            return [from_step(step) for step in answer.steps], answer.next_page_token

        return pages(fetch, limit)
