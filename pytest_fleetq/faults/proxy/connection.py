"""One connection through a link: two sides, and a stream in each direction."""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable
from random import Random

from pytest_fleetq.faults.proxy.chunk import Chunk, End
from pytest_fleetq.faults.proxy.stream import Stream
from pytest_fleetq.faults.proxy.toxics import Poison

LINGER_NOT = struct.pack("ii", 1, 0)
LAST_SECONDS = 1.0  # for the sides to close too, when a toxic has closed the connection


class Side(asyncio.BufferedProtocol):
    """One of the two sockets: the source of one stream and the sink of the other."""

    # Of all sides: it is emptied before anything else is read. Without it asyncio has the kernel
    # map and unmap a quarter of a megabyte for every few bytes that pass.
    _buffer = memoryview(bytearray(256 * 1024))

    def __init__(self, begun: Callable[["Side"], None]) -> None:
        self._begun = begun
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._outgoing: Stream | None = None  # of which it is the source
        self._incoming: Stream | None = None  # of which it is the sink
        self._lost: Callable[[], None] = lambda: None
        self._held = False
        self._full = False
        self._early: list[Chunk] = []  # before it is connected
        self._waiting: list[asyncio.Future[None]] = []
        self.said_eof = self.got_eof = self.is_lost = False

    def join(self, outgoing: Stream, incoming: Stream, lost: Callable[[], None]) -> None:
        self._outgoing, self._incoming, self._lost = outgoing, incoming, lost

    @property
    def is_connected(self) -> bool:
        return self._transport is not None

    # --- asyncio's -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._held:
            transport.pause_reading()
        self._begun(self)
        early, self._early = self._early, []
        for chunk in early:
            self.take(chunk)
        self._let_in()

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._outgoing is not None:
            self._outgoing.feed(Chunk(bytes(self._buffer[:nbytes]), self._loop.time()))

    def eof_received(self) -> bool:
        self.said_eof = True
        if self._outgoing is not None:
            self._outgoing.feed(Chunk(b"", self._loop.time(), End.EOF))
            self._lost()
        return True  # the other direction is still open

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._let_in()
        if self._outgoing is not None:
            if exc is not None:
                self._outgoing.feed(Chunk(b"", self._loop.time(), End.RESET))
            self._lost()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._let_in()

    # --- as a source ----------------------------------------------------------------------------

    def hold(self, held: bool) -> None:
        if held == self._held:
            return
        self._held = held
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading() if held else self._transport.resume_reading()

    # --- as a sink ------------------------------------------------------------------------------

    def has_room(self) -> bool:
        return self.is_lost or (self._transport is not None and not self._full)

    async def room(self) -> None:
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        await waiter

    def take(self, chunk: Chunk) -> None:
        if self._transport is None:
            self._early.append(chunk)
        elif self.is_lost or self._transport.is_closing():
            return
        elif chunk.end is End.EOF:
            self.shut()
        elif chunk.end is End.RESET and not self.got_eof:
            self.reset()
        elif chunk.end is End.RESET:
            self._transport.close()  # it has all there was to say; only its answers go nowhere
        else:
            self._transport.write(chunk.data)

    def shut(self) -> None:
        """Nothing more will be said to it."""
        if not self.got_eof and self._transport is not None and not self._transport.is_closing():
            self.got_eof = True
            self._transport.write_eof()
            self._lost()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        if self._transport is not None and not self.is_lost:
            linger = (socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self._transport.get_extra_info("socket").setsockopt(*linger)
            self._transport.abort()

    def _let_in(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
        if self._incoming is not None:
            self._incoming.balance()


class Connection:
    def __init__(
        self, client: Side, luck: str, hits: Counter[str], gone: Callable[["Connection"], None]
    ) -> None:
        self.luck = luck
        self._hits = hits
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._server = Side(lambda _: None)
        self._sides = (client, self._server)
        self._streams = {
            "upstream": Stream(
                client, self._server, lambda: self._finish("downstream"), self.reset
            ),
            "downstream": Stream(
                self._server, client, lambda: self._finish("upstream"), self.reset
            ),
        }
        self._sinks = {"upstream": self._server, "downstream": client}
        up, down = self._streams.values()
        client.join(up, down, self._changed)
        self._server.join(down, up, self._changed)
        self._over = False
        self._finishing = False
        self._connecting: asyncio.Task[None] | None = None

    def connect(self, target: str) -> None:
        self._streams["upstream"].balance()
        self._connecting = self._loop.create_task(self._connect(target))

    def install(self, poison: Poison, luck: Random) -> None:
        stream = self._streams[poison.stream]
        stream.install(poison.id, poison.make(), luck, lambda: self._hits.update([poison.id]))

    def remove(self, id: str) -> None:
        for stream in self._streams.values():
            stream.remove(id)

    def _finish(self, other: str) -> None:
        """A toxic closes it, in order: the other direction ends at once."""
        if not self._server.is_connected:
            return self.reset()
        self._finishing = True
        self._streams[other].drop()
        self._sinks[other].shut()
        self._changed()
        return None

    def reset(self) -> None:
        self._drop()
        for side in self._sides:
            side.reset()
        self._end()

    async def _connect(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        try:
            await self._loop.create_connection(lambda: self._server, host.strip("[]"), int(port))
        except OSError:
            self._hits["unreachable"] += 1
            self.reset()

    def _changed(self) -> None:
        """Whether a side's end is the end of it all."""
        if all(side.is_lost for side in self._sides):
            self._end()
        elif all(side.said_eof and side.got_eof for side in self._sides):
            self._close()
        elif self._finishing and all(side.is_lost or side.got_eof for side in self._sides):
            self._loop.call_later(LAST_SECONDS, self._close)

    def _close(self) -> None:
        for side in self._sides:
            side.close()

    def _drop(self) -> None:
        for stream in self._streams.values():
            stream.drop()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            if self._connecting is not None and not self._connecting.done():
                self._connecting.cancel()
            self._drop()
            self._gone(self)
