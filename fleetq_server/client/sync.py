"""The synchronous client: each method runs AsyncClient's on a loop in a thread of its own."""

import asyncio
import threading
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from enum import Enum, auto
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from fleetq_server.client.aio import DEFAULT_TIMEOUT, AsyncClient
from fleetq_server.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fleetq", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs it there to its end; an interrupt here cancels it there."""
        if not self._thread.is_alive():
            coroutine.close()
            raise Unavailable("this client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise Unavailable("this client was closed") from None
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        self.run(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _End(Enum):
    """StopAsyncIteration cannot pass through a task."""

    END = auto()


async def _next(items: AsyncGenerator[T, None]) -> T | _End:
    return await anext(items, _End.END)


async def _close(items: AsyncGenerator[T, None]) -> None:
    await items.aclose()


def _calls(
    method: Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    def face(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(method(self.aio, *args, **kwargs))

    update_wrapper(face, method)
    return face


def _iterates(
    method: Callable[Concatenate[AsyncClient, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate["Client", P], Iterator[T]]:
    def face(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.iterate(method(self.aio, *args, **kwargs))

    update_wrapper(face, method)
    return face


class Client:
    """AsyncClient for code without an event loop: the same arguments, results and errors.

    May be used by any number of threads; their submits travel together. Use it as a context
    manager, or close it. See AsyncClient for the arguments.
    """

    def __init__(
        self,
        addresses: str | Iterable[str],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        patience: float | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.aio = AsyncClient(
            addresses, timeout=timeout, patience=patience, credentials=credentials
        )
        self._thread = LoopThread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.aio.addresses

    def close(self) -> None:
        """Closes the connections; calls that wait in other threads get Unavailable."""
        try:
            self.run(self.aio.close())
        except Unavailable:
            return  # closed already
        self._thread.stop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop of this client, for whatever has no method here."""
        return self._thread.run(coroutine)

    def iterate(self, items: AsyncGenerator[T, None]) -> Iterator[T]:
        """The items, fetched one by one on the loop of this client."""
        try:
            while not isinstance(item := self.run(_next(items)), _End):
                yield item
        finally:
            with suppress(Unavailable):  # a client that is closed has ended it already
                self.run(_close(items))

    submit = _calls(AsyncClient.submit)
    submit_one = _calls(AsyncClient.submit_one)
    submit_steps = _calls(AsyncClient.submit_steps)
    get = _calls(AsyncClient.get)
    cancel = _calls(AsyncClient.cancel)
    wait = _calls(AsyncClient.wait)
    wait_steps = _calls(AsyncClient.wait_steps)
    as_ended = _iterates(AsyncClient.as_ended)
    list = _iterates(AsyncClient.list)

    claim_steps = _calls(AsyncClient.claim_steps)
    complete_steps = _calls(AsyncClient.complete_steps)
    fail_steps = _calls(AsyncClient.fail_steps)
    release_steps = _calls(AsyncClient.release_steps)
    beat = _calls(AsyncClient.beat)

    pods = _calls(AsyncClient.pods)
    leader = _calls(AsyncClient.leader)
    drain = _calls(AsyncClient.drain)
    stats = _calls(AsyncClient.stats)
    pause = _calls(AsyncClient.pause)
    resume = _calls(AsyncClient.resume)
    dead = _iterates(AsyncClient.dead)
    redrive = _calls(AsyncClient.redrive)
    purge = _calls(AsyncClient.purge)
    events = _iterates(AsyncClient.events)
