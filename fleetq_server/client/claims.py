"""Calls of a worker: claim, report, beat. `Worker` makes them for you."""

from collections.abc import Iterable, Sequence

from fleetq_server.client.calls import Calls, new_request_id
from fleetq_server.client.convert import (
    from_claim,
    from_outcomes,
    to_completion,
    to_failure,
    to_held,
)
from fleetq_server.client.results import Grant, TimedBeatReply
from fleetq_server.client.scalars import from_duration, naming, to_duration
from fleetq_server.errors import LeaseLost
from fleetq_server.model import (
    Completion,
    Failure,
    Progress,
    Release,
    Verdict,
    make_token,
)
from fleetq_server.pb import claim_service_pb2, heartbeat_service_pb2


class ClaimCalls(Calls):
    """Claims steps and reports what became of them. Repeating any of these is harmless."""

    async def claim_steps(
        self,
        holder_id: str,
        *,
        kinds: Iterable[str],
        limit: int = 1,
        queues: Iterable[str] = (),
        wait: float = 0.0,
        holder_name: str = "",
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> Grant:
        """Claims ready steps, waiting for the first one for up to `wait` seconds.

        Args:
            holder_id: This incarnation of the worker: 8 to 64 characters of a-z A-Z 0-9 -.
            kinds: What the worker can run.
            limit: 1 to 1000.
            queues: Only these; all if empty.
            wait: Seconds, at most 30; 0 looks once.
            holder_name: For people to read.
            request_id: The same id gives the same claims again, as far as they are still live.
                Give one wherever a lost answer must not strand claims until the holder's end.
            timeout: Seconds; `wait` and the client's own unless given.

        Raises:
            LeaseLost: The holder was declared dead; begin anew under a new id.
            Overloaded: Too many claims wait at this pod.
        """
        request = claim_service_pb2.ClaimStepsRequest(
            holder_id=holder_id,
            holder_name=holder_name,
            kinds=kinds,
            queues=queues,
            request_id=request_id or new_request_id(),
        )
        with naming("limit"):
            request.max_steps = limit
        with naming("wait"):
            request.wait.CopyFrom(to_duration(wait))
        call_timeout = wait + self._link.timeout if timeout is None else timeout
        answer = await self._link.call(lambda s: s.claims.ClaimSteps, request, call_timeout)
        return Grant(
            [from_claim(claim) for claim in answer.claims],
            answer.draining,
            from_duration(answer.heartbeat_interval),
            from_duration(answer.dead_threshold),
        )

    async def complete_steps(
        self, items: Sequence[Completion], *, timeout: float | None = None
    ) -> list[Verdict]:
        """Records results, 1 to 1000; one verdict per item, in order."""
        request = claim_service_pb2.CompleteStepsRequest(
            completions=[to_completion(item) for item in items]
        )
        answer = await self._link.call(
            lambda s: s.claims.CompleteSteps, request, timeout, outlast_overload=True
        )
        return from_outcomes(answer.outcomes)

    async def fail_steps(
        self, items: Sequence[Failure], *, timeout: float | None = None
    ) -> list[Verdict]:
        """Records failed attempts, 1 to 1000; one verdict per item, in order."""
        request = claim_service_pb2.FailStepsRequest(failures=[to_failure(item) for item in items])
        answer = await self._link.call(
            lambda s: s.claims.FailSteps, request, timeout, outlast_overload=True
        )
        return from_outcomes(answer.outcomes)

    async def release_steps(
        self, items: Sequence[Release], *, timeout: float | None = None
    ) -> list[Verdict]:
        """Gives claims back unspent, 1 to 1000; one verdict per item, in order."""
        request = claim_service_pb2.ReleaseStepsRequest(
            claim_tokens=[make_token(item.step_id, item.fence) for item in items]
        )
        answer = await self._link.call(
            lambda s: s.claims.ReleaseSteps, request, timeout, outlast_overload=True
        )
        return from_outcomes(answer.outcomes)

    async def beat(
        self,
        holder_id: str,
        *,
        holder_name: str = "",
        progress: Iterable[Progress] = (),
        ask: Sequence[Release] = (),
        timeout: float | None = None,
    ) -> TimedBeatReply:
        """Keeps the holder, and with it all its claims, alive; registers a new one.

        Args:
            holder_id: As in `claim_steps`.
            holder_name: For people to read.
            progress: What handlers have to report, up to 4 KiB each.
            ask: The claims to be told about, up to 1000.
            timeout: Seconds.

        Returns:
            `alive` False if the holder was declared dead; otherwise a verdict per claim asked
            about, in order, and the times to keep.
        """
        request = heartbeat_service_pb2.BeatRequest(
            holder_id=holder_id, holder_name=holder_name, claims=to_held(progress, ask)
        )
        try:
            answer = await self._link.call(lambda s: s.heartbeat.Beat, request, timeout)
        except LeaseLost:
            return TimedBeatReply(alive=False, verdicts=(Verdict.EXPIRED,) * len(ask))
        verdicts = tuple(from_outcomes(answer.outcomes)[: len(ask)])
        return TimedBeatReply(
            alive=True,
            draining=answer.drain,
            cancels=tuple(
                (item.step_id, item.fence)
                for item, verdict in zip(ask, verdicts, strict=False)
                if verdict is Verdict.CANCEL_REQUESTED
            ),
            verdicts=verdicts,
            next_interval=from_duration(answer.next_interval),
            dead_threshold=from_duration(answer.dead_threshold),
        )
