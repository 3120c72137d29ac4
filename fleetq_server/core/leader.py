"""Leadership: the eldest live pod leads, and the leader watches the dead.

Every pod looks around once per heartbeat interval. The leader watches all pods, everybody
watches the leader, so that a death is an event and not something to be polled for.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from fleetq_server.clock import Clock
from fleetq_server.core.observer import Observer
from fleetq_server.core.reads import Reads
from fleetq_server.core.recovery import Recovery
from fleetq_server.core.retention import Retention
from fleetq_server.errors import FleetError, NotLeader
from fleetq_server.failpoints import hit
from fleetq_server.model import Holder, HolderKey, HolderStatus, HolderType, Leadership
from fleetq_server.store.base import Elect, Resign, Suspect
from fleetq_server.store.peers import Presence
from fleetq_server.store.writer import GroupWriter
from fleetq_server.telemetry import get_logger

PROOF_TRIES = 50
PROOF_PAUSE_SECONDS = 0.002

log = get_logger()


class Leader:
    def __init__(
        self,
        writer: GroupWriter,
        reads: Reads,
        presence: Presence,
        observer: Observer,
        clock: Clock,
        recovery: Recovery,
        retention: Retention,
        *,
        interval: float,
    ) -> None:
        self.term: int | None = None  # while this pod leads
        self._writer = writer
        self._reads = reads
        self._presence = presence
        self._observer = observer
        self._clock = clock
        self._recovery = recovery
        self._retention = retention
        self._interval = interval
        self._key: HolderKey | None = None
        self._eligible = True
        self._watched: dict[str, Callable[[], None]] = {}
        self._dying: set[str] = set()  # holders whose process ended just now
        self._tidied = 0  # the term in which leftovers were removed
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, key: HolderKey) -> None:
        """Takes part as this incarnation."""
        self._key = key
        self._step_down()  # a term belonged to the incarnation before
        self._stirred.set()
        if self._task is None:
            self._task = asyncio.create_task(self._loop(), name="fleetq-leader")

    async def resign(self) -> None:
        """Leads no more, and is not elected again."""
        self._eligible = False
        term = self._step_down()
        if term is not None and self._key is not None:
            await self._writer.one(Resign(self._key, term), internal=True)
            log.info("resigned", term=term)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for stop_watching in self._watched.values():
            stop_watching()
        self._watched.clear()

    def stir(self) -> None:
        """Look around now."""
        self._stirred.set()

    async def _loop(self) -> None:
        while True:
            try:
                await self._look_around()
            except NotLeader as over:
                log.info("leadership is over", term=self.term, cause=str(over))
                self._step_down()
            except (FleetError, OSError) as error:
                log.warning("cannot look around", cause=str(error))
            except Exception:  # a pod that is the eldest and does not lead would be in the way
                log.exception("failed to look around")
            try:
                async with asyncio.timeout(self._interval):
                    await self._stirred.wait()
            except TimeoutError:
                pass
            self._stirred.clear()

    async def _look_around(self) -> None:
        holders, leadership = await self._reads(self._read)
        suspects = self._observer.look(holders, leader_grace=2 * self._interval + 1.0)
        me = next((holder for holder in holders if holder.key == self._key), None)
        if me is None or me.status is not HolderStatus.LIVE or not self._eligible:
            self._step_down()
            return
        proven = await self._proven_dead(holders)
        gone = {suspect.holder: suspect for suspect in (*suspects, *proven)}
        gone.pop(me.key, None)
        if leadership.holder_id != me.holder_id and self._is_eldest(me, holders, gone):
            leadership = await self._stand_for_election(me, leadership, tuple(gone.values()))
        self._follow(me, leadership)
        self._watch(me, [h for h in holders if h.key not in gone], leadership)
        if self.term is not None:
            await self._recovery.run(me.key, self.term, tuple(gone.values()))
            self._forget([holder for holder in holders if holder.key in gone])
            if leadership.term != self._tidied:
                self._presence.tidy({holder.holder_id for holder in holders})
                self._tidied = leadership.term

    def _read(self) -> tuple[list[Holder], Leadership]:
        return self._reads.reader.holders(), self._reads.reader.leadership()

    async def _proven_dead(self, holders: Sequence[Holder]) -> list[Suspect]:
        """The dying are asked again for a moment: a process closes its files one by one."""
        pods = [
            holder
            for holder in holders
            if holder.type is HolderType.POD and holder.key != self._key
        ]
        for _ in range(PROOF_TRIES):
            dead = [holder for holder in pods if self._presence.proven_dead(holder.holder_id)]
            self._dying -= {holder.holder_id for holder in dead}
            self._dying &= {holder.holder_id for holder in pods}
            if not self._dying:
                break
            await self._clock.sleep(PROOF_PAUSE_SECONDS)
        self._dying.clear()
        return [Suspect(holder.key) for holder in dead]

    @staticmethod
    def _is_eldest(me: Holder, holders: Sequence[Holder], gone: dict[HolderKey, Suspect]) -> bool:
        """`holders` come eldest first."""
        able = [
            h
            for h in holders
            if h.type is HolderType.POD and h.status is HolderStatus.LIVE and h.key not in gone
        ]
        return bool(able) and able[0].key == me.key

    async def _stand_for_election(
        self, me: Holder, leadership: Leadership, suspects: tuple[Suspect, ...]
    ) -> Leadership:
        elected: Leadership = await self._writer.one(
            Elect(me.key, leadership.term, suspects), internal=True
        )
        return elected

    def _follow(self, me: Holder, leadership: Leadership) -> None:
        if leadership.holder_id != me.holder_id:
            self._step_down()
        elif self.term != leadership.term:
            self.term = leadership.term
            self._writer.leading = True
            self._retention.start(me.key, leadership.term, self.stir)
            self.stir()  # who joined meanwhile told the leader before
            log.info("leading", term=leadership.term)
            hit("leader.elected")

    def _step_down(self) -> int | None:
        term, self.term = self.term, None
        if term is not None:
            self._writer.leading = False
            self._retention.stop()
        return term

    def _watch(self, me: Holder, holders: Sequence[Holder], leadership: Leadership) -> None:
        """`holders`: those alive, eldest first."""
        pods = [h.holder_id for h in holders if h.type is HolderType.POD]
        wanted = set(pods)
        if self.term is None:
            # The eldest too: whoever leads next leads before this pod has heard of it.
            wanted &= {leadership.holder_id, pods[0]}
        wanted.discard(me.holder_id)
        for holder_id in set(self._watched) - wanted:
            self._watched.pop(holder_id)()
        for holder_id in wanted - set(self._watched):
            stop_watching = self._presence.watch(holder_id, partial(self._died, holder_id))
            if stop_watching is not None:
                self._watched[holder_id] = stop_watching

    def _died(self, holder_id: str) -> None:
        self._watched.pop(holder_id, None)
        self._dying.add(holder_id)
        self._stirred.set()

    def _forget(self, holders: Sequence[Holder]) -> None:
        for holder in holders:
            if self._presence.proven_dead(holder.holder_id):
                self._presence.forget(holder.holder_id)
