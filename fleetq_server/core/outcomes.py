"""Outcomes of handlers on their way to the store: gathered per turn of the event loop, kept and
sent again until the store has taken or refused them."""

import asyncio
from collections.abc import Callable, Sequence

from fleetq_server.errors import FleetError
from fleetq_server.model import Completion, Failure, Release, Verdict
from fleetq_server.store.base import Complete, Fail, Op, ReleaseSteps
from fleetq_server.store.writer import GroupWriter
from fleetq_server.telemetry import get_logger

AGAIN_SECONDS = 0.2
log = get_logger()


class Outcomes:
    def __init__(
        self, writer: GroupWriter, ended: Callable[[Sequence[Op]], None] | None = None
    ) -> None:
        """`ended` is shown what is sent, once."""
        self._writer = writer
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._completions: list[Completion] = []
        self._failures: list[Failure] = []
        self._releases: list[Release] = []
        self._flushing = False
        self._underway = 0
        self._changed = asyncio.Event()

    def add(self, outcome: Completion | Failure | Release) -> None:
        if isinstance(outcome, Completion):
            self._completions.append(outcome)
        elif isinstance(outcome, Failure):
            self._failures.append(outcome)
        else:
            self._releases.append(outcome)
        self._flush_soon()

    def add_completions(self, completions: list[Completion]) -> None:
        if completions:
            self._completions += completions
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    async def until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Waits until outcomes have made the condition true."""
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            if timeout is None:
                raise
        return condition()

    async def recorded(self, timeout: float) -> bool:
        return await self.until(lambda: not (self._underway or self._flushing), timeout)

    def _flush(self) -> None:
        self._flushing = False
        self._changed.set()
        ops: list[Op] = []
        if self._completions:
            ops.append(Complete(self._completions))
            self._completions = []
        if self._failures:
            ops.append(Fail(self._failures))
            self._failures = []
        if self._releases:
            ops.append(ReleaseSteps(self._releases))
            self._releases = []
        if ops:
            if self._ended is not None:
                self._ended(ops)
            self._send(ops)

    def _send(self, ops: list[Op]) -> None:
        self._underway += 1

        def failed(error: FleetError) -> None:
            # The same tokens again are harmless, and if the claims were lost meanwhile, refused.
            log.warning("outcomes not recorded, trying again", cause=str(error))
            self._underway -= 1
            self._loop.call_later(AGAIN_SECONDS, self._send, ops)

        self._writer.post(ops, self._done, failed)

    def _done(self, answers: list[object]) -> None:
        self._underway -= 1
        self._changed.set()
        for verdicts in answers:
            assert isinstance(verdicts, list)
            if verdicts.count(Verdict.OK) != len(verdicts):
                lost = [verdict.value for verdict in verdicts if verdict is not Verdict.OK]
                log.warning("outcomes refused", count=len(lost), reasons=sorted(set(lost)))
