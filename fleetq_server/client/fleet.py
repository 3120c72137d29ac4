"""Calls that look at the fleet and steer it."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import TypedDict, Unpack

import grpc.aio

from fleetq_server.client.calls import AnyStepId, Calls, new_request_id, pages
from fleetq_server.client.convert import (
    from_event,
    from_leader,
    from_pod,
    from_stats,
    from_step,
    to_dead_filter,
)
from fleetq_server.client.errors import from_rpc_error
from fleetq_server.client.link import Attempts
from fleetq_server.client.results import Pod
from fleetq_server.client.scalars import naming
from fleetq_server.errors import Unavailable
from fleetq_server.model import Cause, DeadFilter, Event, Leadership, Stats, Step, StepId
from fleetq_server.pb import fleet_service_pb2 as pb

PAGE_OF_DEAD = 100


class DeadOptions(TypedDict, total=False):
    """Which DLQ entries: what is left out matches everything.

    `died_before` and `died_after` are seconds since the epoch; `error` is an error's name.
    """

    queue: str | None
    kind: str | None
    cause: Cause | None
    error: str | None
    died_before: float | None
    died_after: float | None
    step_ids: Iterable[AnyStepId]


class FleetCalls(Calls):
    """Looks at the fleet and steers it."""

    async def pods(self, *, include_ended: bool = False, timeout: float | None = None) -> list[Pod]:
        """Pods and workers, eldest first; with `include_ended` also those that died or left."""
        request = pb.ListPodsRequest(include_ended=include_ended)
        answer = await self._link.call(lambda s: s.fleet.ListPods, request, timeout)
        return [from_pod(pod) for pod in answer.pods]

    async def leader(self, *, timeout: float | None = None) -> Leadership:
        """Who leads, and since when; holder_id None while nobody does."""
        request = pb.GetLeaderRequest()
        return from_leader(await self._link.call(lambda s: s.fleet.GetLeader, request, timeout))

    async def drain(self, pod_id: str, *, timeout: float | None = None) -> None:
        """Asks a pod or worker to claim no more, finish or release what it holds, and end.

        Raises:
            NotFound: No live pod or worker has this id.
        """
        request = pb.DrainPodRequest(pod_id=pod_id)
        await self._link.call(lambda s: s.fleet.DrainPod, request, timeout)

    async def stats(self, *, timeout: float | None = None) -> Stats:
        """The fleet's counters, O(1)."""
        request = pb.GetStatsRequest()
        return from_stats(await self._link.call(lambda s: s.fleet.GetStats, request, timeout))

    async def pause(self, queue: str, *, timeout: float | None = None) -> None:
        """Stops claims from a queue; what is claimed goes on."""
        request = pb.PauseQueueRequest(queue=queue)
        await self._link.call(lambda s: s.fleet.PauseQueue, request, timeout)

    async def resume(self, queue: str, *, timeout: float | None = None) -> None:
        """Lets claims from a queue go on."""
        request = pb.ResumeQueueRequest(queue=queue)
        await self._link.call(lambda s: s.fleet.ResumeQueue, request, timeout)

    def dead(
        self,
        *,
        limit: int | None = None,
        timeout: float | None = None,
        **which: Unpack[DeadOptions],
    ) -> AsyncGenerator[Step, None]:
        """The DLQ, oldest step first, with each step's attempts, fetched as it is consumed.

        Args:
            limit: At most so many.
            timeout: Seconds to spend on each page.
            which: See DeadOptions.
        """
        chosen = _filter(which)

        async def fetch(token: str, size: int) -> tuple[list[Step], str]:
            request = pb.ListDeadStepsRequest(
                filter=chosen, page_size=min(size, PAGE_OF_DEAD), page_token=token
            )
            answer = await self._link.call(lambda s: s.fleet.ListDeadSteps, request, timeout)
            return [from_step(step) for step in answer.steps], answer.next_page_token

        return pages(fetch, limit)

    async def redrive(
        self,
        *,
        limit: int = 1000,
        rate: float | None = None,
        dry_run: bool = False,
        request_id: str | None = None,
        timeout: float | None = None,
        **which: Unpack[DeadOptions],
    ) -> list[str]:
        """Puts steps of the DLQ back to work, oldest first; the filter is as in `dead`.

        Args:
            limit: 1 to 10000.
            rate: Steps per second; all at once unless given.
            dry_run: Only tell which ones it would be.
            request_id: The same id with the same filter gives the same answer.
            timeout: Seconds.
            which: See DeadOptions.

        Returns:
            The steps' ids.
        """
        request = pb.RedriveStepsRequest(
            request_id=request_id or new_request_id(),
            filter=_filter(which),
            rate=rate,
            dry_run=dry_run,
        )
        with naming("limit"):
            request.limit = limit
        answer = await self._link.call(lambda s: s.fleet.RedriveSteps, request, timeout)
        return list(answer.step_ids)

    async def purge(
        self,
        *,
        limit: int = 1000,
        dry_run: bool = False,
        request_id: str | None = None,
        timeout: float | None = None,
        **which: Unpack[DeadOptions],
    ) -> list[str]:
        """Deletes steps of the DLQ for good, oldest first; the arguments are those of `redrive`."""
        request = pb.PurgeStepsRequest(
            request_id=request_id or new_request_id(),
            filter=_filter(which),
            dry_run=dry_run,
        )
        with naming("limit"):
            request.limit = limit
        answer = await self._link.call(lambda s: s.fleet.PurgeSteps, request, timeout)
        return list(answer.step_ids)

    async def events(
        self,
        *,
        after: int | None = None,
        types: Iterable[str] = (),
        quiet: float | None = None,
    ) -> AsyncGenerator[Event, None]:
        """What happens in the fleet, as it happens; goes on at another pod when one is lost.

        Args:
            after: Begin behind this sequence number, 0 for all that is kept; only new events
                unless given.
            types: Only these types; all if empty.
            quiet: End when nothing came for so many seconds; never unless given.

        Raises:
            Unavailable: No pod could be watched for the time a call may take.
        """
        if quiet is not None:
            await self.leader()  # or an unreachable fleet would look like a quiet one
        seen, attempts = after, self._attempts()
        while True:
            stream = self._link.stubs.fleet.WatchEvents(
                pb.WatchEventsRequest(after=seen, types=types), metadata=self._link.metadata
            )
            try:
                if seen is None:
                    seen = await _begins_behind(stream)
                while (message := await _read(stream, quiet)) is not None:
                    seen, attempts = message.event.seq, self._attempts()
                    yield from_event(message.event)
                return
            except grpc.aio.AioRpcError as raw:
                error = from_rpc_error(raw)
                self._link.turn_from(error)
                await attempts.pause_after(self._link.explain(error), raw)
            except StreamEnded as ended:
                await attempts.pause_after(ended, None)
            finally:
                stream.cancel()

    def _attempts(self) -> Attempts:
        return self._link.attempts(self._link.timeout)


class StreamEnded(Unavailable):
    """The pod ended a stream in good order, because it drains."""


async def _begins_behind(
    stream: grpc.aio.UnaryStreamCall[pb.WatchEventsRequest, pb.WatchEventsResponse],
) -> int | None:
    """So that, when the stream is lost before its first event, the next one misses none."""
    for key, value in await stream.initial_metadata() or ():
        if key == "fleetq-after":
            return int(value)
    return None


async def _read(
    stream: grpc.aio.UnaryStreamCall[pb.WatchEventsRequest, pb.WatchEventsResponse],
    quiet: float | None,
) -> pb.WatchEventsResponse | None:
    """The next message, or None when there was none for `quiet` seconds."""
    try:
        async with asyncio.timeout(quiet):
            message = await stream.read()
    except TimeoutError:
        return None
    if isinstance(message, pb.WatchEventsResponse):
        return message
    raise StreamEnded("the pod ended the stream of events")


def _filter(which: DeadOptions) -> pb.DeadFilter:
    ids = tuple(StepId(int(step_id)) for step_id in which.get("step_ids", ()))
    with naming("filter"):
        return to_dead_filter(
            DeadFilter(
                queue=which.get("queue"),
                kind=which.get("kind"),
                cause=which.get("cause"),
                error=which.get("error"),
                died_before=which.get("died_before"),
                died_after=which.get("died_after"),
                step_ids=ids,
            )
        )
