"""One direction of a connection: from its source through its toxics to its sink.

While there is no toxic, what is read is written at once. A toxic is a stage with an inbox and a
task; when it is removed, its waiting ends early, what it holds goes on, what is in its inbox goes
on unchanged, and only then it leaves the row: so no byte is lost, and none overtakes another.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import NoReturn, Protocol

from pytest_fleetq.faults.proxy.chunk import Chunk, End
from pytest_fleetq.faults.proxy.toxics.base import Toxic

FULL_BYTES = 1 << 20  # a stage that holds as much takes no more


class Sink(Protocol):
    """Where chunks go: the next stage, or the side at the end."""

    def has_room(self) -> bool: ...

    async def room(self) -> None: ...

    def take(self, chunk: Chunk) -> None: ...


class Source(Protocol):
    def hold(self, held: bool) -> None:
        """Whether to read no further."""
        ...


class Stream:
    def __init__(
        self, source: Source, sink: Sink, finish: Callable[[], None], reset: Callable[[], None]
    ) -> None:
        self.reset = reset
        self.void = False  # nothing passes any more
        self._muted = False  # nothing more comes in, what is in passes
        self._finish = finish
        self._source, self._sink = source, sink
        self._stages: list[Stage] = []

    def feed(self, chunk: Chunk) -> None:
        """From the source."""
        if not (self.void or self._muted):
            self._first.take(chunk)
            self.balance()

    def balance(self) -> None:
        """Reads on only as long as there is room for it."""
        self._source.hold(not (self.void or self._muted or self._first.has_room()))

    @property
    def _first(self) -> Sink:
        return self._stages[0] if self._stages else self._sink

    def install(self, id: str, toxic: Toxic, luck: Random, hit: Callable[[], None]) -> None:
        if not self.void:
            self._stages.append(Stage(self, id, toxic, luck, hit))
            self.balance()

    def remove(self, id: str) -> None:
        for stage in self._stages:
            if stage.id == id:
                stage.remove()

    def after(self, stage: "Stage") -> Sink:
        """Asked anew each time: the row may have changed."""
        place = self._stages.index(stage) + 1
        return self._stages[place] if place < len(self._stages) else self._sink

    def leave(self, stage: "Stage") -> None:
        self._stages.remove(stage)
        self.balance()

    def finish_after(self, stage: "Stage") -> None:
        """Closes the connection with what this stage has written."""
        place = self._stages.index(stage)
        for earlier in self._stages[:place]:
            earlier.cancel()
        del self._stages[: place + 1]
        self._muted = True
        self.balance()
        self._finish()

    def drop(self) -> None:
        self.void = True
        for stage in self._stages:
            stage.cancel()
        self._stages.clear()
        self._source.hold(False)


class Over(Exception):
    """What a toxic gets that has closed its connection."""


class Stage:
    """One toxic's place in one stream."""

    def __init__(
        self, stream: Stream, id: str, toxic: Toxic, luck: Random, hit: Callable[[], None]
    ) -> None:
        self.id, self.luck, self.hit = id, luck, hit
        self.removed = False
        self._stream = stream
        self._inbox: deque[Chunk] = deque()
        self._held = 0  # bytes in the inbox
        self._arrived = 0  # chunks, ever
        self._loop = asyncio.get_running_loop()
        self._awake: asyncio.Future[None] | None = None  # what the toxic waits for
        self._asleep = False  # and a new chunk does not wake it
        self._outside: list[asyncio.Future[None]] = []  # others that wait for room here
        self._task = self._loop.create_task(self._run(toxic))

    async def _run(self, toxic: Toxic) -> None:
        try:
            await toxic.run(self)
        except Over:
            return
        self.removed = True
        while self._inbox and not self._stream.void:
            await self.write(self._pop())
        # No await from here on: nothing can come into the inbox before the row has closed.
        if not self._stream.void:
            self._stream.leave(self)
            self._let_in()

    # --- for the toxic: see Place --------------------------------------------------------------

    def now(self) -> float:
        return self._loop.time()

    async def read(self) -> Chunk | None:
        while not self._inbox and not self.removed:
            await self._wait()
        return None if self.removed else self._pop()

    async def arrival(self, seen: int) -> int:
        while self._arrived <= seen and not self.removed:
            await self._wait()
        return 0 if self.removed else self._arrived

    async def sleep(self, seconds: float) -> None:
        if self.removed or seconds <= 0:
            return
        timer = self._loop.call_later(seconds, self._wake)
        self._asleep = True
        try:
            await self._wait()
        finally:
            self._asleep = False
            timer.cancel()

    async def write(self, chunk: Chunk) -> None:
        while not self._stream.void:
            following = self._stream.after(self)
            if following.has_room():
                return following.take(chunk)
            await following.room()
        return None

    async def finish(self) -> NoReturn:
        await self.write(Chunk(b"", self.now(), End.EOF))
        if not self._stream.void:
            self._stream.finish_after(self)
        raise Over

    async def reset(self) -> NoReturn:
        self._stream.reset()
        raise Over

    # --- for the row ---------------------------------------------------------------------------

    def has_room(self) -> bool:
        # A removed toxic takes no more, or it might never be done passing on what it has.
        return not self.removed and self._held < FULL_BYTES

    async def room(self) -> None:
        waiter = self._loop.create_future()
        self._outside.append(waiter)
        await waiter

    def take(self, chunk: Chunk) -> None:
        self._inbox.append(chunk)
        self._held += len(chunk.data)
        self._arrived += 1
        if not self._asleep:
            self._wake()

    def remove(self) -> None:
        self.removed = True
        self._wake()

    def cancel(self) -> None:
        self._inbox.clear()
        self._task.cancel()
        self._let_in()

    def _pop(self) -> Chunk:
        chunk = self._inbox.popleft()
        self._held -= len(chunk.data)
        self._stream.balance()
        if self.has_room():
            self._let_in()
        return chunk

    def _let_in(self) -> None:
        waiting, self._outside = self._outside, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        self._awake = self._loop.create_future()
        await self._awake

    def _wake(self) -> None:
        if self._awake is not None and not self._awake.done():
            self._awake.set_result(None)
