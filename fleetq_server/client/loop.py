"""One event loop, in a thread of its own, for all synchronous clients of a process.

Several loops that use gRPC get in each other's way: an answer for one of them wakes them all, and
those that come too late log errors, https://github.com/grpc/grpc/issues/25364. So the clients
share one; it begins with the first of them and ends with the last.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Generic, TypeVar

from fleetq_server.errors import ClientClosed

T = TypeVar("T")


class _Call(Generic[T]):
    """A coroutine for the loop, whose end a thread may wait for.

    With concurrent.futures instead, a call took half as much time again.
    """

    __slots__ = ("_coroutine", "_ended", "_error", "_loop", "_result", "_task")

    def __init__(self, coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._task: asyncio.Task[T] | None = None
        self._error: BaseException | None = None
        self._ended = threading.Lock()
        self._ended.acquire()

    def begin(self) -> "asyncio.Task[T]":
        """On the loop."""
        if self._task is None:
            self._task = self._loop.create_task(self._coroutine)
            self._task.add_done_callback(self._end)
        return self._task

    def refuse(self) -> None:
        """Instead of `begin`, where there is no loop any more."""
        self._coroutine.close()
        self._error = ClientClosed("this client was closed")
        self._ended.release()

    def result(self) -> T:
        """Waits for it; an interrupt cancels it."""
        try:
            self._ended.acquire()
        except BaseException:
            self.cancel()
            raise
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._result
        finally:
            del error  # it refers to this frame

    def cancel(self) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(lambda: self.begin().cancel())

    def _end(self, task: "asyncio.Task[T]") -> None:
        if task.cancelled():
            self._error = ClientClosed("this client was closed")
        else:
            self._error = task.exception()
            if self._error is None:
                self._result = task.result()
        self._ended.release()


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._arrived: deque[_Call[Any]] = deque()
        self._woken = False
        self._thread = threading.Thread(target=self._loop.run_forever, name="fleetq", daemon=True)
        self._thread.start()

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> _Call[T]:
        if not self._thread.is_alive():
            coroutine.close()
            raise ClientClosed(
                "this client is closed, or belongs to the process this one was forked from"
            )
        call = _Call(coroutine, self._loop)
        self._arrived.append(call)
        if not self._woken:  # once for all that arrive meanwhile: it costs a system call
            self._woken = True
            with suppress(RuntimeError):  # the loop was closed just now
                self._loop.call_soon_threadsafe(self._begin_arrived)
        if not self._thread.is_alive():
            self._refuse_arrived()
        return call

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it there to its end; an interrupt here cancels it there."""
        return self.begin(coroutine).result()

    def stop(self) -> None:
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._refuse_arrived()

    def _begin_arrived(self) -> None:
        self._woken = False
        while self._arrived:
            self._arrived.popleft().begin()

    def _refuse_arrived(self) -> None:
        with suppress(IndexError):  # two threads may do so
            while True:
                self._arrived.popleft().refuse()


class LoopShare:
    """One client's share in the loop of the process."""

    def __init__(self) -> None:
        self._thread = _common.take()
        self._calls: set[_Call[Any]] = set()
        self._stopped = False

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> _Call[T]:
        if self._stopped:
            coroutine.close()
            raise ClientClosed("this client is closed")
        return self._thread.begin(coroutine)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it there to its end; an interrupt here cancels it there."""
        call = self.begin(coroutine)
        self._calls.add(call)
        try:
            return call.result()
        finally:
            self._calls.discard(call)

    def stop(self) -> None:
        """Ends this client's calls, whichever thread waits for them."""
        self._stopped = True
        for call in tuple(self._calls):
            call.cancel()
        _common.give_back(self._thread)


class _Common:
    """The loop of the process, while it has users."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None
        self._users = 0

    def take(self) -> LoopThread:
        with self._lock:
            if self._thread is None:
                self._thread = LoopThread()
            self._users += 1
            return self._thread

    def give_back(self, thread: LoopThread) -> None:
        with self._lock:
            if thread is not self._thread:
                return  # of the process this one was forked from
            self._users -= 1
            if self._users == 0:
                self._thread = None
                thread.stop()

    def forget(self) -> None:
        """In a process that was just forked: it has none of the threads, and the lock as it was."""
        self._lock = threading.Lock()
        self._thread = None
        self._users = 0


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


_common = _Common()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_common.forget)
