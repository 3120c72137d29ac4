"""One step on a worker, from its claim to its report."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from enum import Enum, auto
from typing import Any, assert_never

from fleetq_server.client.claims import ClaimCalls
from fleetq_server.client.coalesce import Coalescer
from fleetq_server.client.tasks import this_task
from fleetq_server.core.context import Context, Stop, encode_result
from fleetq_server.core.guard import guarded
from fleetq_server.core.handlers import InvalidPayload, PermanentError
from fleetq_server.core.names import MAX_ERROR, MAX_MESSAGE
from fleetq_server.errors import (
    ClientClosed,
    DeadlineExceeded,
    FleetError,
    InvalidArgument,
    Overloaded,
    Unavailable,
)
from fleetq_server.model import Cause, Claim, Completion, Failure, Progress, Release, Verdict

Report = Completion | Failure | Release
Function = Callable[[Context], Any]

TROUBLE = (Unavailable, DeadlineExceeded, Overloaded)  # passes, and a repeat is harmless
REPORT_TIMEOUT = 10.0
REPORT_PAUSE = 0.2

_log = logging.getLogger(__name__)


class Reports:
    """Outcomes on their way to the fleet, those of one moment together."""

    def __init__(self, client: ClaimCalls) -> None:
        self._completions = Coalescer[Completion, Verdict](
            lambda items, timeout: client.complete_steps(items, timeout=timeout)
        )
        self._failures = Coalescer[Failure, Verdict](
            lambda items, timeout: client.fail_steps(items, timeout=timeout)
        )
        self._releases = Coalescer[Release, Verdict](
            lambda items, timeout: client.release_steps(items, timeout=timeout)
        )

    async def send(self, report: Report) -> None:
        """Repeats until it is told. When that has become pointless, the caller is cancelled."""
        while True:
            try:
                await self._put(report)
                return
            except ClientClosed:
                raise
            except TROUBLE:
                await asyncio.sleep(REPORT_PAUSE)
            except InvalidArgument as error:
                if not isinstance(report, Completion):
                    raise
                refused, name = str(error), type(error).__name__
                report = Failure(
                    report.step_id,
                    report.fence,
                    Cause.HANDLER_ERROR,
                    name,
                    refused,
                    retryable=False,
                )

    async def _put(self, report: Report) -> None:
        match report:
            case Completion():
                size = len(report.result.data) if report.result else 0
                await self._completions.put([report], size + 64, REPORT_TIMEOUT)
            case Failure():
                await self._failures.put([report], 4 * len(report.message) + 256, REPORT_TIMEOUT)
            case Release():
                await self._releases.put([report], 32, REPORT_TIMEOUT)
            case _:
                assert_never(report)


class Run:
    """A running handler. `task` ends when its outcome was told, or no longer matters."""

    def __init__(
        self,
        claim: Claim,
        function: Function,
        threads: Executor,
        reports: Reports,
        lease_lost: Callable[[], bool],
    ) -> None:
        self.claim = claim
        self.context = Context(claim, self._take_progress)
        self._function = function
        self._threads = threads
        self._reports = reports
        self._lease_lost = lease_lost
        self._progress: bytes | None = None  # the newest, written by the handler's thread
        self._told: bytes | None = None
        self._lost = False
        self._phase = _Phase.IN_THREAD
        self.task = asyncio.get_running_loop().create_task(self._run())

    def stop(self, why: Stop) -> None:
        """Stops the handler; a plain one only learns that it should stop."""
        self._lost = self._lost or why is Stop.FENCED
        self.context.stop(why)
        # An outcome on its way stays worth telling unless the claim is lost.
        if self._phase is _Phase.ON_LOOP or (self._phase is _Phase.REPORTING and self._lost):
            self.task.cancel()

    def progress(self) -> Progress | None:
        """What the handler reported since the last report that was told."""
        data = self._progress
        if data is None or data is self._told:
            return None
        return Progress(self.claim.step_id, self.claim.fence, data)

    def told(self, report: Progress) -> None:
        """The fleet has this report."""
        self._told = report.data

    async def _run(self) -> None:
        report = await self._outcome() if self.context.stopped is None else self._release()
        self._phase = _Phase.REPORTING
        if self._lost:
            return
        try:
            await self._reports.send(report)
        except FleetError as error:
            _log.error("outcome of step %s refused: %s", self.claim.step_id, error)

    async def _outcome(self) -> Report:
        limit = asyncio.timeout(self.claim.timeout)
        try:
            async with limit:
                value = await self._call()
            return Completion(self.claim.step_id, self.claim.fence, encode_result(value))
        except asyncio.CancelledError:
            if self.context.stopped is None and not self._lease_lost():
                raise
            # Caught for good: timeouts on the way of the report must not see it again.
            this_task().uncancel()
            return self._release()
        except Exception as error:
            if self.context.stopped is not None:
                return self._release()
            if limit.expired():
                self.context.stop(Stop.TIMEOUT)  # a thread may still be at work
                return _timed_out(self.claim)
            return _failed(self.claim, error)

    async def _call(self) -> object:
        if not inspect.iscoroutinefunction(self._function):
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._function, self.context)
        self._phase = _Phase.ON_LOOP
        try:
            made: Coroutine[Any, Any, object] = self._function(self.context)
            return await guarded(made, self._lease_lost, _nothing)
        finally:
            self._phase = _Phase.IN_THREAD

    def _take_progress(self, _: Claim, data: bytes) -> None:
        self._progress = data

    def _release(self) -> Release:
        return Release(self.claim.step_id, self.claim.fence)


class _Phase(Enum):
    IN_THREAD = auto()
    ON_LOOP = auto()
    REPORTING = auto()


def _nothing() -> None:
    """A step that waits needs no hand-over here: each has a task of its own."""


def _timed_out(claim: Claim) -> Failure:
    message = f"the attempt took longer than {claim.timeout:g} s"
    return Failure(claim.step_id, claim.fence, Cause.TIMEOUT, "Timeout", message)


def _failed(claim: Claim, error: Exception) -> Failure:
    cause = Cause.INVALID_PAYLOAD if isinstance(error, InvalidPayload) else Cause.HANDLER_ERROR
    # What UTF-8 cannot carry must not keep the failure from being told.
    message = str(error)[:MAX_MESSAGE].encode(errors="replace").decode()
    return Failure(
        claim.step_id,
        claim.fence,
        cause,
        type(error).__name__[:MAX_ERROR],
        message,
        retryable=not isinstance(error, PermanentError),
    )
