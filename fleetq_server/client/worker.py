"""A remote worker: claims over gRPC, runs handlers here, keeps its claims alive."""

import asyncio
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from fleetq_server.client.calls import new_request_id
from fleetq_server.client.claims import ClaimCalls
from fleetq_server.client.results import TimedBeatReply
from fleetq_server.client.run import TROUBLE, Function, Reports, Run
from fleetq_server.client.tasks import this_task
from fleetq_server.core.context import Stop
from fleetq_server.errors import ClientClosed, FleetError, InvalidArgument, LeaseLost
from fleetq_server.model import Claim, Release, Verdict

CLAIM_WAIT = 20.0
MOST_PARALLEL = 1000  # claims that one beat can ask about
FENCE_MARGIN = 0.2  # of the dead threshold: for a loop that is late, and clocks that differ
FIRST_INTERVAL = 1.0
LEAST_BEAT_TIMEOUT = 0.5
GIVE_BACK_TIMEOUT = 2.0
PAUSE = 0.2

_log = logging.getLogger(__name__)


class Worker:
    """Runs steps of the given kinds until it is drained; made by `AsyncClient.worker`.

    It stops its handlers by itself when its heartbeats have not been answered for almost as
    long as makes the fleet give its steps to others. That needs a running event loop: work
    that blocks belongs in a plain handler, which runs in a thread. Threads cannot be stopped
    from outside; a plain handler has to look at `context.cancelled`.
    """

    def __init__(
        self,
        client: ClaimCalls,
        handlers: Mapping[str, Function],
        *,
        parallelism: int,
        queues: Iterable[str],
        name: str,
        grace: float,
    ) -> None:
        if not handlers:
            raise InvalidArgument("handlers", "is empty; give at least one kind")
        if not 1 <= parallelism <= MOST_PARALLEL:
            raise InvalidArgument("parallelism", f"is not between 1 and {MOST_PARALLEL}")
        self.holder_id = _new_holder_id()
        self._client = client
        self._handlers = dict(handlers)
        self._parallelism = parallelism
        self._queues = tuple(queues)
        self._name = name
        self._grace = grace
        self._reports = Reports(client)
        self._threads = ThreadPoolExecutor(parallelism, thread_name_prefix="fleetq-step")
        self._runs: set[Run] = set()  # a lost step may run here again while its old handler ends
        self._room = asyncio.Event()
        self._draining = asyncio.Event()
        self._claiming: asyncio.Task[list[Claim]] | None = None
        self._interval = FIRST_INTERVAL
        self._fence: asyncio.TimerHandle | None = None
        self._fence_at = 0.0

    @property
    def running(self) -> int:
        """How many steps it holds."""
        return len(self._runs)

    def drain(self) -> None:
        """Claims no more; `run` returns when what runs has ended, or was given back."""
        self._draining.set()
        self._room.set()
        if self._claiming is not None:
            self._claiming.cancel()

    async def run(self) -> None:
        """Works until drained, by `drain()` or by the fleet. If cancelled, gives all back first.

        Raises:
            InvalidArgument: A kind, a queue or the name is malformed.
            Unavailable: No pod could be reached at the start, or the client was closed.
        """
        self._heed(await self._beat(()), (), self._now())
        beats = asyncio.create_task(self._keep_beating())
        try:
            await self._claim_until_drained()
            await self._await_runs(self._grace)
        finally:
            for run in self._runs:
                run.stop(Stop.DRAINED)
            await self._await_runs(None)
            await self._end(beats)

    # --- claiming ---------------------------------------------------------------------------

    async def _claim_until_drained(self) -> None:
        while await self._has_room():
            holder_id, request_id = self.holder_id, new_request_id()
            self._claiming = asyncio.create_task(self._claim(request_id, CLAIM_WAIT))
            try:
                claims = await self._claiming
            except asyncio.CancelledError:
                if holder_id == self.holder_id:
                    await self._give_back(request_id)
                if this_task().cancelling():
                    raise
            except LeaseLost:
                self._begin_anew()
            else:
                # Claims of a holder that was fenced meanwhile are not ours to run.
                for claim in claims if holder_id == self.holder_id else ():
                    self._start(claim)

    async def _has_room(self) -> bool:
        """Waits for room for one more; False when draining."""
        while self.running >= self._parallelism and not self._draining.is_set():
            self._room.clear()
            await self._room.wait()
        return not self._draining.is_set()

    async def _claim(self, request_id: str, wait: float) -> list[Claim]:
        """Repeats one claim until it is answered; its id makes a lost answer come again."""
        while True:
            try:
                grant = await self._client.claim_steps(
                    self.holder_id,
                    kinds=self._handlers,
                    queues=self._queues,
                    limit=self._parallelism - self.running,
                    wait=wait,
                    holder_name=self._name,
                    request_id=request_id,
                )
            except ClientClosed:
                raise
            except TROUBLE as error:
                await asyncio.sleep(getattr(error, "retry_after", PAUSE))
                continue
            if grant.draining and not grant.claims:
                await asyncio.sleep(PAUSE)  # that pod answers at once; the next one may be another
            return grant.claims

    async def _give_back(self, request_id: str) -> None:
        """Claims that were granted while we stopped listening need not wait for our death."""
        try:
            async with asyncio.timeout(GIVE_BACK_TIMEOUT):
                claims = await self._claim(request_id, 0.0)
                if claims:
                    items = [Release(claim.step_id, claim.fence) for claim in claims]
                    await self._client.release_steps(items)
        except (TimeoutError, FleetError) as error:
            # The fleet takes them back when it misses the heartbeats.
            _log.warning("claims not given back: %s", error)

    def _start(self, claim: Claim) -> None:
        holder_id, function = self.holder_id, self._handlers[claim.kind]

        def lease_lost() -> bool:
            return self.holder_id != holder_id or self._now() >= self._fence_at

        run = Run(claim, function, self._threads, self._reports, lease_lost)
        self._runs.add(run)
        run.task.add_done_callback(lambda _: self._ended(run))

    def _ended(self, run: Run) -> None:
        self._runs.discard(run)
        self._room.set()

    async def _await_runs(self, timeout: float | None) -> None:
        tasks = [run.task for run in self._runs]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    # --- staying alive ----------------------------------------------------------------------

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            asked, begun = tuple(self._runs), self._now()
            try:
                self._heed(await self._beat(asked), asked, begun)
            except FleetError as error:  # the fence decides how long that may go on
                _log.warning("heartbeat failed: %s", error)

    async def _beat(self, runs: Sequence[Run]) -> TimedBeatReply:
        reports = [(run, report) for run in runs if (report := run.progress()) is not None]
        reply = await self._client.beat(
            self.holder_id,
            holder_name=self._name,
            ask=[Release(run.claim.step_id, run.claim.fence) for run in runs],
            progress=[report for _, report in reports],
            timeout=max(LEAST_BEAT_TIMEOUT, self._interval),
        )
        for run, report in reports:
            run.told(report)
        return reply

    def _heed(self, reply: TimedBeatReply, asked: Sequence[Run], begun: float) -> None:
        if not reply.alive:
            self._begin_anew()
            return
        self._interval = reply.next_interval
        self._arm_fence(begun + reply.dead_threshold * (1 - FENCE_MARGIN))
        for run, verdict in zip(asked, reply.verdicts, strict=True):
            if verdict.lost:
                run.stop(Stop.FENCED)
            elif verdict is Verdict.CANCEL_REQUESTED:
                run.stop(Stop.CANCELLED)
        if reply.draining:
            self.drain()

    def _arm_fence(self, when: float) -> None:
        if self._fence is not None:
            self._fence.cancel()
        self._fence_at = when
        self._fence = asyncio.get_running_loop().call_at(when, self._begin_anew)

    def _begin_anew(self) -> None:
        """The fleet may take us for dead from now on: stops everything, goes on as another."""
        _log.warning("holder %s fenced, %d handlers stopped", self.holder_id, self.running)
        self.holder_id = _new_holder_id()
        for run in self._runs:
            run.stop(Stop.FENCED)
        if self._claiming is not None:
            self._claiming.cancel()

    async def _end(self, beats: asyncio.Task[None]) -> None:
        beats.cancel()
        await asyncio.gather(beats, return_exceptions=True)
        if self._fence is not None:
            self._fence.cancel()
        self._threads.shutdown(wait=False)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _new_holder_id() -> str:
    return secrets.token_hex(16)
