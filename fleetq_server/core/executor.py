"""Runs claimed steps in this pod.

The executor stands at the writer: every transaction that records outcomes also claims the next
steps, so a busy pod pays one sync for both. Slots are long-lived tasks that take steps
from one queue; a handler that ends without waiting for anything costs neither a task nor a
turn of the event loop, and only when one does wait is another slot woken behind it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from fleetq_server.clock import Clock
from fleetq_server.core.context import Context, Stop, encode_result
from fleetq_server.core.guard import Fenced, guarded, resumed
from fleetq_server.core.handlers import Handler, InvalidPayload, Mode, PermanentError
from fleetq_server.core.names import MAX_ERROR, MAX_MESSAGE
from fleetq_server.core.outcomes import Outcomes
from fleetq_server.core.pools import Pools
from fleetq_server.core.processes import ProcessDied
from fleetq_server.failpoints import hit
from fleetq_server.model import (
    Cause,
    Claim,
    Completion,
    Failure,
    Fence,
    HolderKey,
    Progress,
    Release,
    StepId,
)
from fleetq_server.store.base import ClaimSteps, Op, Suspect
from fleetq_server.store.writer import GroupWriter
from fleetq_server.telemetry import current_attempt, get_logger

CLAIM_AT_MOST = 1000
LOOP_TURN_SECONDS = 0.005  # a slot that never waits lets others have the event loop this often
CLAIM_SECONDS = 2.0  # how long a drain waits for a claim that is just being written
THREAD_STOP_SECONDS = 1.0  # how long a plain handler that timed out may take to notice

_Outcome = Completion | Failure | Release
_Begun = tuple[Claim, Context, Awaitable[Any]]

log = get_logger()


class Executor:
    def __init__(
        self,
        writer: GroupWriter,
        clock: Clock,
        handlers: Mapping[str, Handler],
        *,
        capacity: int,
        queues: tuple[str, ...] | None,
        pools: Pools,
        lease_lost: Callable[[], bool],
        expired: Callable[[], tuple[Suspect, ...]] = lambda: (),
        ended: Callable[[Sequence[Op]], None] | None = None,
    ) -> None:
        """`ended` is shown the outcomes, gathered, on their way to the store."""
        self.capacity = capacity
        self._writer = writer
        self._clock = clock
        self._handlers = handlers
        self._kinds = tuple(handlers)
        self._queues = queues
        self._pools = pools
        self._lease_lost = lease_lost
        self._expired = expired
        self._loop = asyncio.get_running_loop()
        self._outcomes = Outcomes(writer, ended)
        self._key: HolderKey | None = None
        self._ready: deque[Claim] = deque()
        # By fence too: while a plain handler overruns its timeout, its step may come here again.
        self._running: dict[tuple[StepId, Fence], tuple[Context, asyncio.Task[None]]] = {}
        self._slots: set[asyncio.Task[None]] = set()
        self._resting: list[asyncio.Future[None]] = []
        self._progress: dict[StepId, Progress] = {}
        self._drained = False
        # Whether all that came last ended at once: such handlers take no slot, and as many again
        # may be claimed before they have run. What is too many after all is given back.
        self._swift = False
        # Written by the writer thread and by the event loop respectively, each only by one.
        self._granted = 0
        self._ended = 0

    # --- claiming: called in the writer thread ---

    def wanted(self, contended: bool = False) -> ClaimSteps | None:
        free = self._free(contended)
        if self._key is None or free <= 0:
            return None
        limit = min(free, CLAIM_AT_MOST)
        return ClaimSteps(self._key, limit, self._kinds, self._queues, expired=self._expired())

    def _free(self, contended: bool = False) -> int:
        if not self._swift:
            return self.capacity - self._held
        if self._held > self.capacity:
            return 0
        # The next ones are claimed while these run. Where writers wait for each other, all that
        # may be held is taken in one turn; alone, a pod is faster in two halves.
        return 2 * self.capacity - self._held if contended else self.capacity

    def granted(self, claims: list[Claim]) -> None:
        self._granted += len(claims)
        if len(claims) >= self.capacity and self._free() > 0:
            self._writer.nudge()  # there is more, to be claimed while these run

    # --- on the event loop ---

    @property
    def _held(self) -> int:
        return self._granted - self._ended

    @property
    def running(self) -> int:
        return min(self._held, self.capacity)  # what is more has not begun

    def start(self, key: HolderKey) -> None:
        """Claims as this holder from now on."""
        self._key = key
        if self._kinds:
            self._writer.stand(self)

    def pause(self) -> None:
        """Claims nothing more."""
        self._key = None
        self._writer.unstand(self)

    async def drain(self, grace: float) -> int:
        """Lets what runs end within `grace` seconds, stops and releases the rest, records it all.

        → how many handlers would not stop
        """
        self.pause()
        self._release_unstarted()
        begun = self._clock.monotonic()
        with suppress(TimeoutError):  # handlers may have the grace, a store that hangs may not
            async with asyncio.timeout(min(grace, CLAIM_SECONDS)):
                await self._writer.passed()  # or a claim on its way would be found too late
        left = max(0.0, grace - (self._clock.monotonic() - begun))
        if not await self._outcomes.until(lambda: self.running == 0, left):
            self.stop_all(Stop.DRAINED)
            await self._outcomes.until(lambda: self.running == 0, THREAD_STOP_SECONDS)
        self._drained = True
        await self._outcomes.recorded(THREAD_STOP_SECONDS)
        return len(self._running)

    def close(self) -> None:
        for slot in self._slots:
            slot.cancel()
        self._pools.close()

    async def idle(self) -> None:
        """Returns once no handler runs any more."""
        await self._outcomes.until(lambda: self.running == 0)

    def cancel(self, step_id: StepId, fence: Fence) -> None:
        found = self._running.get((step_id, fence))
        if found is not None and found[0].stopped is None:  # each heartbeat names it again
            self._stop(*found, Stop.CANCELLED)

    def stop_all(self, why: Stop) -> None:
        self._release_unstarted()
        for context, slot in list(self._running.values()):
            self._stop(context, slot, why)

    def take_progress(self) -> list[Progress]:
        """Reports since the last call; called in the writer thread."""
        reports = []
        while self._progress:  # handler threads may add to it meanwhile
            reports.append(self._progress.popitem()[1])
        return reports

    def _release_unstarted(self) -> None:
        while self._ready:
            self._settle(_release(self._ready.popleft()))

    def _release_excess(self) -> None:
        """What was claimed ahead of handlers that turned out to wait."""
        room = self.capacity - len(self._running) if self._running else len(self._ready)
        while len(self._ready) > room:
            self._settle(_release(self._ready.pop()))

    def _stop(self, context: Context, slot: "asyncio.Task[None]", why: Stop) -> None:
        context.stop(why)
        if self._handlers[context.kind].mode is Mode.LOOP:
            slot.cancel()
        else:
            self._pools.end_process(context)

    def deliver(self, claims: list[Claim]) -> None:
        if self._drained:
            return  # granted by a store that hung; they are given back as the pod leaves
        self._ready.extend(claims)
        self._release_excess()
        self._wake_slot()
        if len(claims) < self.capacity and self._free() > 0:
            # One claim may be too small for all that is ready. But first these begin: the writer
            # would take the interpreter from them.
            self._loop.call_soon(self._writer.nudge)

    def _wake_slot(self) -> None:
        if not self._ready:
            return
        while self._resting:
            rest = self._resting.pop()
            if not rest.done():
                rest.set_result(None)
                return
        if len(self._slots) < self.capacity:
            slot = self._loop.create_task(self._slot(), name="fleetq-slot")
            self._slots.add(slot)
            slot.add_done_callback(self._slots.discard)

    def _suspended(self) -> None:
        """A handler waits. Two slots go on in its place, each of which may wake two more: many
        handlers that wait are started in few turns of the event loop."""
        self._wake_slot()
        self._wake_slot()

    async def _slot(self) -> None:
        slot = asyncio.current_task()
        assert slot is not None
        while True:
            turn_ends = self._clock.monotonic() + LOOP_TURN_SECONDS
            while self._ready:
                begun = self._run_ready(turn_ends)
                if begun is not None:
                    self._settle(await self._end(*begun, slot))
                while slot.cancelling():
                    slot.uncancel()  # the cancel was the handler's, not this slot's
                if self._clock.monotonic() > turn_ends:
                    self._wake_slot()
                    await asyncio.sleep(0)
                    turn_ends = self._clock.monotonic() + LOOP_TURN_SECONDS
            current_attempt.set(None)
            rest = self._loop.create_future()
            self._resting.append(rest)
            await rest

    def _run_ready(self, turn_ends: float) -> _Begun | None:
        """Runs what is ready, one after the other, until a handler waits or the turn is over.

        Most short handlers never wait: those need no coroutine around them, and nothing could
        cancel them.
        """
        if self._lease_lost():
            self._release_unstarted()
        done: list[Completion] = []
        begun = None
        try:
            begun = self._run_until_one_waits(turn_ends, done)
            return begun
        finally:
            self._swift = begun is None and not self._ready and not self._running
            self._ended += len(done)
            self._outcomes.add_completions(done)

    def _run_until_one_waits(self, turn_ends: float, done: list[Completion]) -> _Begun | None:
        ready, monotonic, loop = self._ready, self._clock.monotonic, Mode.LOOP
        # Time is looked at before each start: after a freeze the lease has to be looked at anew.
        while ready and monotonic() <= turn_ends:
            claim = ready.popleft()
            context = Context(claim, self._report)
            current_attempt.set(claim)
            try:
                hit("executor.before_handler")
                one = self._handlers[claim.kind]
                if one.mode is not loop or claim.timeout is not None:
                    return claim, context, self._call(one, claim, context)
                coroutine = one.function(context)
                try:
                    waiting_for = coroutine.send(None)
                except StopIteration as ended:
                    done.append(_completion(claim, ended.value))
                else:
                    self._suspended()
                    return claim, context, resumed(coroutine, waiting_for, self._lease_lost)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # a handler's SystemExit must not end the pod
                self._settle(
                    _release(claim) if _given_back(error, context) else _failure(claim, error)
                )
            hit("executor.after_handler")
        return None

    async def _end(
        self, claim: Claim, context: Context, waiting: Awaitable[Any], slot: "asyncio.Task[None]"
    ) -> _Outcome:
        attempt = claim.step_id, claim.fence
        self._running[attempt] = context, slot
        self._release_excess()
        try:
            return _completion(claim, await waiting)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if _given_back(error, context):
                return _release(claim)
            if isinstance(error, asyncio.CancelledError) and slot.cancelling():
                raise  # not the handler was meant, but this slot
            return _failure(claim, error, context.stopped)
        finally:
            del self._running[attempt]
            hit("executor.after_handler")

    async def _call(self, one: Handler, claim: Claim, context: Context) -> Any:
        if one.mode is not Mode.LOOP:
            self._wake_slot()
            if one.around is None:
                return await self._call_plain(one, claim, context)
            with one.around(one.function, context) as function:
                return await self._call_plain(replace(one, function=function), claim, context)
        try:
            async with asyncio.timeout(claim.timeout) as limit:
                return await guarded(one.function(context), self._lease_lost, self._suspended)
        finally:
            if limit.expired():
                context.stop(Stop.TIMEOUT)

    async def _call_plain(self, one: Handler, claim: Claim, context: Context) -> Any:
        """A plain function cannot be stopped, only told; its slot stays taken until it returns."""
        running = self._pools.submit(one, context)
        done, _ = await asyncio.wait([running], timeout=claim.timeout)
        if not done:
            context.stop(Stop.TIMEOUT)
            self._pools.end_process(context)
            await asyncio.wait([running])
            raise TimeoutError
        return running.result()

    def _report(self, claim: Claim, data: bytes) -> None:
        self._progress[claim.step_id] = Progress(claim.step_id, claim.fence, data)

    def _settle(self, outcome: _Outcome) -> None:
        self._ended += 1
        self._outcomes.add(outcome)


def _completion(claim: Claim, value: object) -> Completion:
    # A third of the time of Completion(…), and made for every step.
    return tuple.__new__(Completion, (claim.step_id, claim.fence, encode_result(value)))


def _release(claim: Claim) -> Release:
    return Release(claim.step_id, claim.fence)


def _given_back(error: BaseException, context: Context) -> bool:
    return isinstance(error, Fenced) or context.stopped not in (None, Stop.TIMEOUT)


def _failure(claim: Claim, error: BaseException, stopped: Stop | None = None) -> Failure:
    if stopped is Stop.TIMEOUT:
        message = f"the attempt took longer than {claim.timeout:g} s"
        return Failure(claim.step_id, claim.fence, Cause.TIMEOUT, "Timeout", message)
    log.info("handler failed", exc_info=error)
    name, message = _text(type(error).__name__)[:MAX_ERROR], _text(error)[:MAX_MESSAGE]
    return Failure(
        claim.step_id,
        claim.fence,
        _cause(error),
        name,
        message,
        not isinstance(error, PermanentError),
    )


def _cause(error: BaseException) -> Cause:
    match error:
        case InvalidPayload():
            return Cause.INVALID_PAYLOAD
        case ProcessDied():
            return Cause.CRASHED
        case _:
            return Cause.HANDLER_ERROR


def _text(of: object) -> str:
    """Text the store can keep: whatever a handler raised must not stop its step from ending."""
    try:
        return str(of).encode(errors="replace").decode()
    except Exception as error:
        return f"(its text cannot be told: {type(error).__name__})"
