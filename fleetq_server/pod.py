"""One pod: the only place where the parts are put together, started and shut down.

Shutdown, in this order, so that nothing acknowledged is lost and nobody waits in vain: health
NOT_SERVING → no more claims, waiting calls answered → running steps end within the grace, the
others are released → outcomes recorded → gRPC stops → leadership resigned, the holder leaves →
the writer writes its last group → the store closes.
"""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from random import Random

import pluggy

from fleetq_server import __version__, failpoints
from fleetq_server.clock import Clock, SystemClock
from fleetq_server.config import Settings
from fleetq_server.core import Core
from fleetq_server.core.claim import ClaimDesk
from fleetq_server.core.context import Stop
from fleetq_server.core.deadletter import DeadLetters
from fleetq_server.core.executor import Executor
from fleetq_server.core.fleet import Fleet
from fleetq_server.core.handlers import load_handlers
from fleetq_server.core.heartbeat import EXIT_FENCED, Heartbeat
from fleetq_server.core.leader import Leader
from fleetq_server.core.names import check_queue
from fleetq_server.core.observer import Observer
from fleetq_server.core.pools import Pools
from fleetq_server.core.reads import Reads
from fleetq_server.core.recovery import Recovery
from fleetq_server.core.retention import Retention
from fleetq_server.core.submit import Submitter
from fleetq_server.core.waiting import Waiting
from fleetq_server.errors import FleetError
from fleetq_server.faults import FaultyClock, obey_failpoints
from fleetq_server.hookspecs import plugin_manager
from fleetq_server.model import Event, Fence, HolderKey, HolderType, NewHolder, StepId
from fleetq_server.observing.look import Own
from fleetq_server.observing.observing import Observing
from fleetq_server.observing.traces import with_traces
from fleetq_server.rpc.security.setup import security
from fleetq_server.rpc.server import RpcServer
from fleetq_server.store import open_store
from fleetq_server.store.base import Applied, Leave, Register, Suspect
from fleetq_server.store.writer import GroupWriter
from fleetq_server.telemetry import configure_logging, get_logger

STOP_SECONDS = 2.0  # for each of: calls that still run, leaving, the last write

log = get_logger()


class Pod:
    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        rng: Random | None = None,
        handlers: Iterable[object] = (),
        plugins: pluggy.PluginManager | None = None,
    ) -> None:
        """`handlers` are functions or modules beside those the settings name. Call it, like every
        method, on the event loop that is to run the pod."""
        self.holder_id = uuid.uuid4().hex
        self._settings = settings
        self._clock = clock or SystemClock()
        if settings.faults:
            self._clock = FaultyClock(self._clock, Path(settings.faults))
        self._plugins = plugins or plugin_manager()
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        configure_logging(settings.log_level, settings.log_format, pod=self.holder_id[:8])
        failpoints.arm(settings.failpoints)
        more = [
            *handlers,
            *(one for found in self._plugins.hook.fleetq_handlers() for one in found),
        ]
        self._handlers = load_handlers(settings.handlers, more)
        if settings.traces:
            self._handlers = with_traces(self._handlers)
        for queue in settings.queues:
            check_queue(queue, "queues")
        pools = Pools(
            settings.max_parallelism, settings.process_workers, list(self._handlers.values())
        )
        self._open(rng)
        self._put_together(pools)

    def _open(self, rng: Random | None) -> None:
        settings = self._settings
        schemes = {
            scheme: opener
            for found in self._plugins.hook.fleetq_store_schemes()
            for scheme, opener in found.items()
        }
        self._store = open_store(
            settings.store, clock=self._clock, rng=rng, max_crashes=settings.max_crashes,
            checkpoint_bytes=settings.wal_checkpoint_bytes, faults=settings.faults, schemes=schemes,
            silence=settings.dead_pod_threshold_seconds,
        )  # fmt: skip
        self._presence = self._store.presence()
        self._presence.hold(self.holder_id)
        self._bell = self._store.doorbell(self.holder_id)
        self._reads = Reads(self._store.reader())

    def _put_together(self, pools: Pools) -> None:
        """In this order: each part is given those before it."""
        settings, clock = self._settings, self._clock
        self._observing = Observing(settings, clock)
        self._security = security(settings, self._store.secret)
        self._observer = Observer(clock, settings.dead_pod_threshold_seconds)
        self._writer = GroupWriter(
            self._store,
            asyncio.get_running_loop(),
            clock,
            look_every=settings.claim_interval_seconds,
            max_waiting=settings.max_pending_writes,
            on_commit=self._committed,
            ring=self._bell.ring,
        )
        self._executor = self._make_executor(pools)
        self._heartbeat = self._make_heartbeat()
        self._leader = self._make_leader()
        self._waiting = Waiting(self._reads, clock, settings.max_waiting_calls)
        self._fleet = Fleet(self._writer, self._reads, clock)
        self._claims = self._make_claim_desk()
        self._server = self._make_server()
        self._observing.open(self._own, self._reads, self._security.gate)

    def _make_executor(self, pools: Pools) -> Executor:
        return Executor(
            self._writer,
            self._clock,
            self._handlers,
            capacity=self._settings.capacity,
            queues=self._settings.queues or None,
            pools=pools,
            lease_lost=self._lease_lost,
            expired=self._overdue,
            ended=self._observing.ended,
        )

    def _make_heartbeat(self) -> Heartbeat:
        return Heartbeat(
            self._clock,
            interval=self._settings.heartbeat_interval_seconds,
            threshold=self._settings.dead_pod_threshold_seconds,
            running=lambda: self._executor.running,
            progress=self._executor.take_progress,
            unblock=self._store.unblock,
            on_fence=lambda: self._executor.stop_all(Stop.FENCED),
            on_dead=self._rejoin_soon,
            on_cancels=self._cancel,
            on_drain=self._stop.set,
        )

    def _make_leader(self) -> Leader:
        settings, clock = self._settings, self._clock
        retention = Retention(
            self._writer,
            clock,
            keep=settings.retention_seconds,
            keep_dead=settings.dead_retention_seconds,
        )
        return Leader(
            self._writer,
            self._reads,
            self._presence,
            self._observer,
            clock,
            Recovery(self._writer),
            retention,
            interval=settings.heartbeat_interval_seconds,
        )

    def _make_claim_desk(self) -> ClaimDesk:
        settings = self._settings
        return ClaimDesk(
            self._writer,
            heartbeat_interval=settings.heartbeat_interval_seconds,
            dead_threshold=settings.dead_pod_threshold_seconds,
            max_calls=settings.max_waiting_calls,
            expired=self._overdue,
        )

    def _make_server(self) -> RpcServer:
        settings, writer = self._settings, self._writer
        dead = DeadLetters(writer, self._reads)
        core = Core(Submitter(writer), self._claims, self._waiting, dead, self._fleet)
        found = self._plugins.hook.fleetq_grpc_interceptors()
        return RpcServer(
            core,
            listen=settings.listen,
            allow_insecure=settings.allow_insecure,
            reflection=settings.reflection,
            security=self._security,
            interceptors=[one for interceptors in found for one in interceptors],
        )

    def _own(self) -> Own:
        return Own(
            self.holder_id, self._settings.name, self._leader.term is not None,
            self._heartbeat.age(), self._executor.running, self._executor.capacity,
        )  # fmt: skip

    def _lease_lost(self) -> bool:
        return self._heartbeat.lease_lost()

    def _overdue(self) -> tuple[Suspect, ...]:
        return self._observer.overdue

    async def start(self) -> Mapping[str, str | int]:
        """Joins the fleet and serves; returns what the ready line says."""
        self._heartbeat.watch()
        self._presence.guard(self._heartbeat.life_unproven, self._heartbeat.life_proven)
        self._writer.start()
        try:
            port = await self._server.start()
            self._address = f"{self._settings.listen.rpartition(':')[0]}:{port}"
            metrics = await self._observing.start()
            await self._join()
        except FleetError:
            self._presence.forget(self.holder_id)
            self._bell.close()
            raise
        self._bell.listen(self._writer.nudge, self._alerted)
        if self._settings.faults:
            self._background(
                obey_failpoints(Path(self._settings.faults), self._settings.failpoints)
            )
        if self._plugins.hook.fleetq_observe_event.get_hookimpls():
            self._background(self._observe())
        await self._server.set_serving(True)
        self._observing.ready(True)
        failpoints.hit("pod.ready")
        log.info("ready", address=self._address, kinds=sorted(self._handlers))
        return {
            "event": "ready", "pod_id": self.holder_id, "address": self._address, "port": port,
            "pid": os.getpid(), "version": __version__, **metrics,
        }  # fmt: skip

    async def run(self) -> None:
        """Serves until asked to stop, then drains."""
        await self._stop.wait()
        await self.drain()

    def stop(self) -> None:
        self._stop.set()

    async def drain(self) -> None:
        log.info("draining", running=self._executor.running)
        self._observing.ready(False)
        await self._server.drain()
        self._claims.drain()
        stubborn = await self._executor.drain(self._settings.shutdown_grace_seconds)
        for task in self._tasks:
            task.cancel()
        await self._server.stop(STOP_SECONDS)
        await self._leave()
        if stubborn:
            log.warning("handlers ignore their end, ending the process", running=stubborn)
            self._bell.close()
            os._exit(0)  # not later: others may run their steps from now on
        await self._leader.stop()
        self._heartbeat.stop()
        if not await self._writer.stop(STOP_SECONDS):
            log.error("a write does not come back, ending the process")
            os._exit(EXIT_FENCED)
        self._executor.close()
        self._observing.close()
        await self._reads.close()
        self._bell.close()
        self._presence.close()
        self._store.close()
        log.info("stopped")

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._leader.resign()
                # A beat after leaving would look like being declared dead.
                self._writer.beat_for(None)
                await self._writer.one(Leave(self._key), internal=True)
        except (FleetError, TimeoutError) as error:
            log.warning(
                "cannot leave in good order, the others will notice",
                cause=str(error) or "no answer",
            )
        else:
            self._presence.forget(self.holder_id)

    async def _join(self) -> None:
        settings = self._settings
        new = NewHolder(
            self.holder_id,
            HolderType.POD,
            settings.name,
            self._address,
            os.getpid(),
            __version__,
            settings.max_parallelism,
        )
        sent_at = self._clock.monotonic()
        self._key: HolderKey = await self._writer.one(Register(new), internal=True)
        self._heartbeat.begin(self._key, sent_at)
        self._writer.beat_for(self._heartbeat)
        self._executor.start(self._key)
        self._leader.start(self._key)
        await self._greet()

    async def _greet(self) -> None:
        """The leader watches this pod from now on; whoever is just being elected looks again. Not
        everybody is told: that would cost a large fleet as many writes as it has pairs of pods."""
        with contextlib.suppress(FleetError):
            leadership = await self._reads(self._reads.reader.leadership)
            self._bell.alert([leadership.holder_id] if leadership.holder_id else [])

    def _alerted(self) -> None:
        self._leader.stir()
        self._heartbeat.hurry()

    def _rejoin_soon(self) -> None:
        self._writer.beat_for(None)
        if not self._stop.is_set():
            self._background(self._rejoin())

    async def _rejoin(self) -> None:
        """This incarnation was declared dead: stop all it ran, then begin anew under another id."""
        log.warning("declared dead by the fleet, beginning anew")
        self._executor.pause()
        self._executor.stop_all(Stop.FENCED)
        await self._executor.idle()
        self._presence.forget(self.holder_id)
        self.holder_id = uuid.uuid4().hex
        held = False
        while True:
            try:
                if not held:
                    self._presence.hold(self.holder_id)
                held = True
                await self._join()
            except (FleetError, OSError) as error:
                log.warning("cannot join yet", cause=str(error))
                await self._clock.sleep(self._settings.heartbeat_interval_seconds)
            else:
                break
        configure_logging(
            self._settings.log_level, self._settings.log_format, pod=self.holder_id[:8]
        )
        log.info("joined anew")

    def _cancel(self, claims: Iterable[tuple[StepId, Fence]]) -> None:
        for step_id, fence in claims:
            self._executor.cancel(step_id, fence)

    def _committed(self, applied: Applied) -> None:
        self._observing.committed(applied)
        self._waiting.committed(applied)
        self._fleet.committed(applied)
        if applied.cancelling:
            self._bell.alert(applied.cancelling)
            self._heartbeat.hurry()
            self._writer.nudge()

    def _background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _observe(self) -> None:
        seen: int | None = None
        while True:
            try:
                seen = await self._fleet.newest_event() if seen is None else seen
                async for event in self._fleet.watch(seen, frozenset()):
                    seen = event.seq
                    self._show(event)
            except FleetError as error:
                log.warning("cannot observe events", cause=str(error))
                await self._clock.sleep(self._settings.heartbeat_interval_seconds)

    def _show(self, event: Event) -> None:
        try:
            self._plugins.hook.fleetq_observe_event(event=event)
        except Exception:
            log.exception("a plugin failed to observe an event", seq=event.seq)
