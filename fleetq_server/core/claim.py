"""Claims of remote workers: long poll, outcomes, heartbeat."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from fleetq_server.core.names import MAX_STEPS, check_holder, check_kind, check_queue, check_request
from fleetq_server.errors import Draining, FleetError, InvalidArgument, LeaseLost, Overloaded
from fleetq_server.model import (
    BeatReply,
    Claim,
    Completion,
    Failure,
    HolderKey,
    HolderType,
    NewHolder,
    Progress,
    Release,
    Verdict,
)
from fleetq_server.store.base import (
    Beat,
    ClaimSteps,
    Complete,
    Fail,
    Register,
    ReleaseSteps,
    Suspect,
)
from fleetq_server.store.writer import GroupWriter

MAX_HOLDERS_KEPT = 10_000


class Grant(NamedTuple):
    claims: list[Claim]
    draining: bool


class ClaimDesk:
    def __init__(
        self,
        writer: GroupWriter,
        *,
        heartbeat_interval: float,
        dead_threshold: float,
        max_calls: int = 1000,
        expired: Callable[[], tuple[Suspect, ...]] = lambda: (),
    ) -> None:
        self.heartbeat_interval = heartbeat_interval
        self.dead_threshold = dead_threshold
        self._writer = writer
        self._max_calls = max_calls
        self._expired = expired
        self._keys: dict[str, HolderKey] = {}
        self._waiting: set[_StandingCall] = set()
        self._draining = False

    async def claim(
        self,
        holder_id: str,
        holder_name: str,
        *,
        limit: int,
        kinds: Sequence[str],
        queues: Sequence[str] | None,
        wait: float,
        request_id: str | None,
    ) -> Grant:
        _check_claim(limit, kinds, queues or (), request_id)
        if self._draining:
            return Grant([], True)
        key = await self._register(holder_id, holder_name)
        op = ClaimSteps(
            key, limit, tuple(kinds), tuple(queues) if queues else None, request_id, self._expired()
        )
        try:
            claims = await self._claim_now(op)
        except LeaseLost:
            self._keys.pop(holder_id, None)
            raise
        if not claims and wait > 0 and not self._draining:
            claims = await self._wait(op, wait)
        return Grant(claims, self._draining)

    async def _claim_now(self, op: ClaimSteps) -> list[Claim]:
        writing: asyncio.Task[list[Claim]] = asyncio.create_task(self._writer.one(op))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            writing.add_done_callback(self._give_back)  # nobody is there to take them
            raise

    def _give_back(self, written: asyncio.Task[list[Claim]]) -> None:
        if not written.cancelled() and written.exception() is None:
            _release(self._writer, written.result())

    async def _wait(self, op: ClaimSteps, wait: float) -> list[Claim]:
        if len(self._waiting) >= self._max_calls:
            raise Overloaded(f"{len(self._waiting)} calls wait at this pod already", 1.0)
        call = _StandingCall(op, self._writer)
        self._waiting.add(call)
        self._writer.stand(call)
        try:
            async with asyncio.timeout(wait):
                return await asyncio.shield(call.granted_claims)
        except TimeoutError:
            return call.close()
        except asyncio.CancelledError:
            call.give_back()  # nobody is there to take them
            raise
        finally:
            self._waiting.discard(call)
            self._writer.unstand(call)

    def drain(self) -> None:
        """For a drain: every waiting call is answered now, later ones at once."""
        self._draining = True
        for call in self._waiting:
            call.end()

    async def complete(self, items: Sequence[Completion]) -> list[Verdict]:
        verdicts: list[Verdict] = await self._writer.one(Complete(items))
        return verdicts

    async def fail(self, items: Sequence[Failure]) -> list[Verdict]:
        verdicts: list[Verdict] = await self._writer.one(Fail(items))
        return verdicts

    async def release(self, items: Sequence[Release]) -> list[Verdict]:
        verdicts: list[Verdict] = await self._writer.one(ReleaseSteps(items))
        return verdicts

    async def beat(
        self,
        holder_id: str,
        holder_name: str,
        *,
        progress: Sequence[Progress],
        ask: Sequence[Release],
    ) -> BeatReply:
        key = await self._register(holder_id, holder_name)
        reply: BeatReply = await self._writer.one(Beat(key, len(ask), progress, ask), internal=True)
        if not reply.alive:
            self._keys.pop(holder_id, None)
            raise LeaseLost(
                "expired",
                "this holder was declared dead: stop all work, begin anew with a new holder id",
            )
        return reply

    async def _register(self, holder_id: str, holder_name: str) -> HolderKey:
        key = self._keys.get(holder_id)
        if key is None:
            check_holder(holder_id, "holder_id")
            if len(holder_name) > 128:
                raise InvalidArgument("holder_name", f"{len(holder_name)} characters; at most 128")
            new = NewHolder(holder_id, HolderType.WORKER, holder_name)
            key = await self._writer.one(Register(new), internal=True)
            if len(self._keys) >= MAX_HOLDERS_KEPT:
                self._keys.clear()
            self._keys[holder_id] = key
        return key


def _check_claim(
    limit: int, kinds: Sequence[str], queues: Sequence[str], request_id: str | None
) -> None:
    if not 1 <= limit <= MAX_STEPS:
        raise InvalidArgument("max_steps", f"{limit} is not from 1 to {MAX_STEPS}")
    if not 1 <= len(kinds) <= 1000:
        raise InvalidArgument("kinds", f"{len(kinds)} kinds; name 1 to 1000")
    if len(queues) > 1000:
        raise InvalidArgument("queues", f"{len(queues)} queues; name at most 1000")
    for index, kind in enumerate(kinds):
        check_kind(kind, f"kinds[{index}]")
    for index, queue in enumerate(queues):
        check_queue(queue, f"queues[{index}]")
    check_request(request_id, "request_id")


class _StandingCall:
    """One waiting claim: takes once what becomes ready, then never again."""

    def __init__(self, op: ClaimSteps, writer: GroupWriter) -> None:
        self._op = op
        self._writer = writer
        self._closed = False
        self._taken = False
        self.granted_claims: asyncio.Future[list[Claim]] = (
            asyncio.get_running_loop().create_future()
        )

    def wanted(self, _contended: bool = False) -> ClaimSteps | None:
        return None if self._closed or self._taken else self._op

    def granted(self, _claims: list[Claim]) -> None:
        self._taken = True

    def deliver(self, claims: list[Claim]) -> None:
        if self._closed:
            _release(self._writer, claims)  # granted while the wait was ending
        elif not self.granted_claims.done():
            self.granted_claims.set_result(claims)

    def close(self) -> list[Claim]:
        """Ends the wait: what was granted already, or nothing."""
        self._closed = True
        return self.granted_claims.result() if self.granted_claims.done() else []

    def end(self) -> None:
        if not self.granted_claims.done():
            self._closed = True
            self.granted_claims.set_result([])

    def give_back(self) -> None:
        _release(self._writer, self.close())


def _release(writer: GroupWriter, claims: list[Claim]) -> None:
    if not claims:
        return
    items = [Release(claim.step_id, claim.fence) for claim in claims]

    def failed(error: FleetError) -> None:
        """They come back when the worker is declared dead, or repeats its request."""

    with suppress(Draining):
        writer.post((ReleaseSteps(items),), lambda _: None, failed)
