"""The fleet's own events, brought into the history: as they happen if somebody follows them, and
at the end all that is missing."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from itertools import count
from typing import Protocol

from fleetq_server.client import AsyncClient
from fleetq_server.client.loop import LoopShare
from fleetq_server.errors import FleetError, Unavailable
from fleetq_server.model import Event
from pytest_fleetq.verdict.recorder import Recorder
from pytest_fleetq.verdict.records import AUDIT, JOURNAL

MARK = "fleetq-journal-end"  # a queue that nobody uses
QUIET_SECONDS = 1.0
CALL_SECONDS = 2.0
ATTEMPTS = 3  # at one pod after the other
MOST_DEAD = 200  # each comes with its payload
PAUSE_SECONDS = 0.1


class _Running(Protocol):
    def cancel(self) -> None: ...
    def result(self) -> None: ...


class Journal:
    """Reads on where it stopped, whichever pods are there.

    The stream of events has no end of its own, and to wait for silence would be a guess: so a
    queue of ours is paused and resumed, and what came before these events is all there was.

    Args:
        recorder: Of the history.
        loop: Where all clients of the process live.
        addresses: Of the pods that run now, past any proxies: what is cut off is the test's
            traffic, and this here must not pass for it.
        mark: The name of the queue, for this one alone.
    """

    def __init__(
        self,
        recorder: Recorder,
        loop: Callable[[], LoopShare],
        addresses: Callable[[], Sequence[str]],
        mark: str = MARK,
    ) -> None:
        self._recorder = recorder
        self._loop = loop
        self._addresses = addresses
        self._name = mark
        self._failed = 0
        self._through = 0
        self._running: _Running | None = None

    def follow(self) -> None:
        """Records events as they happen, from now on; harmless when repeated."""
        if self._running is None:
            self._running = self._loop().begin(self._follow())

    def read(self) -> None:
        """Records all that happened until now.

        Raises: FleetError if the fleet cannot be asked; the history tells of that too.
        """
        followed = self._running is not None
        self.close()  # a stream that is opened anew tells at once what there is
        try:
            self._loop().run(self._audit())
            with self._recorder.operation("harness", JOURNAL, after=0) as operation:
                self._loop().run(self._to_the_end())
                operation.ok(through=self._through)
        finally:
            if followed:
                self.follow()

    def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(FleetError):
                self._running.result()
            self._running = None

    @property
    def _mark(self) -> str:
        return f"{self._name}-{self._failed}" if self._failed else self._name

    async def _audit(self) -> None:
        """Looks into the DLQ, of which the journal tells too: one of them may be wrong."""
        with suppress(FleetError), self._recorder.operation("harness", AUDIT) as operation:
            async with AsyncClient(self._reachable(), timeout=CALL_SECONDS) as client:
                steps = [step async for step in client.dead(limit=MOST_DEAD)]
            told = [{"step_id": step.step_id, "cause": step.cause} for step in steps]
            operation.ok(steps=told, all=len(told) < MOST_DEAD)

    async def _to_the_end(self) -> None:
        for attempt in range(ATTEMPTS):
            addresses = self._reachable()
            try:
                async with self._client(addresses[attempt % len(addresses)]) as client:
                    await client.pause(self._mark)
                    await client.resume(self._mark)
                    await self._until_the_mark(client)
                    return
            except FleetError:
                self._failed += 1  # what this mark leaves must not end another read
                if attempt == ATTEMPTS - 1:
                    raise

    async def _until_the_mark(self, client: AsyncClient) -> None:
        paused = False
        async with aclosing(client.events(after=self._through, quiet=CALL_SECONDS)) as events:
            async for event in events:
                self._take(event)
                if event.queue == self._mark:
                    if paused and event.type == "resumed":
                        return
                    paused = event.type == "paused"
        raise Unavailable("the end of the fleet's journal did not come")

    async def _follow(self) -> None:
        """From one pod at a time, and from the next when it is silent: it may hang."""
        clients: dict[str, AsyncClient] = {}
        try:
            for turn in count():
                addresses = self._addresses()
                if not addresses or not await self._heard(
                    addresses[turn % len(addresses)], clients
                ):
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            for client in clients.values():
                await client.close()

    async def _heard(self, address: str, clients: dict[str, AsyncClient]) -> bool:
        """Takes what this pod tells, until it falls silent; False if it cannot be reached."""
        if address not in clients:
            clients[address] = self._client(address)
        try:
            async for event in clients[address].events(after=self._through, quiet=QUIET_SECONDS):
                self._take(event)
        except FleetError:
            return False
        return True

    def _client(self, address: str) -> AsyncClient:
        return AsyncClient(address, timeout=CALL_SECONDS)

    def _reachable(self) -> Sequence[str]:
        addresses = self._addresses()
        if not addresses:
            raise Unavailable("no pod runs")
        return addresses

    def _take(self, event: Event) -> None:
        self._through = event.seq
        if event.queue is None or not event.queue.startswith(MARK):
            self._recorder.event(event)
