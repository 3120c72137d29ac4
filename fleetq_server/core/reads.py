"""Reads off the event loop: one thread with one read connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from fleetq_server.store.base import Reader

T = TypeVar("T")
P = ParamSpec("P")


class Reads:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._thread = ThreadPoolExecutor(1, "fleetq-reader")

    async def __call__(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: read(*args, **kwargs)
        )

    async def close(self) -> None:
        await self(self.reader.close)
        self._thread.shutdown(wait=False)
