"""Concurrent small calls become few large ones.

A part is what one caller brings. Parts that arrive while a batch is on its way leave together
with the next; a lone part leaves at once, so an idle client pays nothing for this.

A batch is all or nothing, and one caller's mistake must not become another's error: a batch
that is refused as wrong is halved (nothing of it was done) until the wrong part stands alone.
That costs about 2·log2(n) calls for one wrong part among n, needs no reading of the refusal,
and lets the index in an error be the caller's own, because that part was sent alone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from fleetq_server.client.tasks import this_task
from fleetq_server.errors import ClientClosed, Conflict, DeadlineExceeded, InvalidArgument

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MAX_ITEMS = 1000
MAX_BYTES = 3 * 1024 * 1024  # gRPC accepts 4 MiB

Send = Callable[[list[Item], float], Awaitable[Sequence[Answer]]]


class _Part(Generic[Item, Answer]):
    __slots__ = ("answer", "deadline", "items", "size")

    def __init__(
        self, items: list[Item], size: int, deadline: float, answer: asyncio.Future[list[Answer]]
    ) -> None:
        self.items = items
        self.size = size
        self.deadline = deadline
        self.answer = answer


class Coalescer(Generic[Item, Answer]):
    """Merges concurrent calls of `put`; `send` gets items and a timeout, and answers each item."""

    def __init__(
        self,
        send: Send[Item, Answer],
        *,
        max_items: int = MAX_ITEMS,
        max_bytes: int = MAX_BYTES,
        in_flight: int = 2,
    ) -> None:
        self._send = send
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._in_flight = in_flight
        self._waiting: deque[_Part[Item, Answer]] = deque()
        self._pumps: set[asyncio.Task[Any]] = set()
        self._alone = 0  # parts that their callers send themselves

    async def put(self, items: list[Item], size: int, timeout: float) -> list[Answer]:
        """Sends `items`, of `size` bytes, all in one batch, and gives their answers.

        Raises whatever `send` raised for them, and DeadlineExceeded after `timeout` seconds.
        """
        if not self._pumps and not self._alone:
            return await self._put_alone(items, timeout)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Answer]] = loop.create_future()
        part = _Part(items, size, loop.time() + timeout, answer)
        self._waiting.append(part)
        self._start_pump()
        try:
            async with asyncio.timeout_at(part.deadline):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded(
                f"no answer within {timeout:g} s; whether the call took effect is unknown"
            ) from None

    async def _put_alone(self, items: list[Item], timeout: float) -> list[Answer]:
        """In the caller's own task: a turn of the event loop sooner."""
        self._alone += 1
        try:
            return list(await self._send(items, timeout))
        finally:
            self._alone -= 1
            if self._waiting:
                self._start_pump()

    def _start_pump(self) -> None:
        if len(self._pumps) + self._alone < self._in_flight:
            self._pumps.add(asyncio.get_running_loop().create_task(self._pump()))

    async def close(self) -> None:
        """Breaks off what is on its way; those who wait get Unavailable."""
        pumps = list(self._pumps)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        _refuse(list(self._waiting), ClientClosed("this client was closed"))
        self._waiting.clear()

    async def _pump(self) -> None:
        try:
            while batch := self._take():
                await self._deliver(batch)
                await asyncio.sleep(0)  # those just answered may bring more, for one batch
        finally:
            # Not in a done callback: a part that arrived before it ran would find no pump.
            self._pumps.discard(this_task())

    def _take(self) -> list[_Part[Item, Answer]]:
        batch: list[_Part[Item, Answer]] = []
        count = size = 0
        while self._waiting:
            part = self._waiting[0]
            count += len(part.items)
            size += part.size
            if batch and (count > self._max_items or size > self._max_bytes):
                break
            self._waiting.popleft()
            if part.answer.done():  # its caller gave up before it was sent
                count -= len(part.items)
                size -= part.size
            else:
                batch.append(part)
        return batch

    async def _deliver(self, batch: list[_Part[Item, Answer]]) -> None:
        try:
            answers = await self._send_all(batch)
        except (InvalidArgument, Conflict) as error:
            await self._separate(batch, error)
        except asyncio.CancelledError:
            _refuse(batch, ClientClosed("this client was closed"))
            raise
        except Exception as error:  # whatever it is, the callers are waiting for it
            _refuse(batch, error)
        else:
            _answer(batch, answers)

    async def _send_all(self, batch: list[_Part[Item, Answer]]) -> Sequence[Answer]:
        items = [item for part in batch for item in part.items]
        deadline = max(part.deadline for part in batch)
        return await self._send(items, deadline - asyncio.get_running_loop().time())

    async def _separate(self, batch: list[_Part[Item, Answer]], error: Exception) -> None:
        if len(batch) == 1:
            _refuse(batch, error)
            return
        middle = len(batch) // 2
        await self._deliver(batch[:middle])
        await self._deliver(batch[middle:])


def _answer(batch: list[_Part[Item, Answer]], answers: Sequence[Answer]) -> None:
    begin = 0
    for part in batch:
        end = begin + len(part.items)
        if not part.answer.done():
            part.answer.set_result(list(answers[begin:end]))
        begin = end


def _refuse(batch: Sequence[_Part[Item, Answer]], error: Exception) -> None:
    for part in batch:
        if not part.answer.done():
            part.answer.set_exception(error)
