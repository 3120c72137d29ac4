"""Proof of life between pods of any number of hosts, kept by the server."""

import asyncio
from collections.abc import Callable, Collection

from fleetq_server.store.postgres.life import Life


class PostgresPresence:
    def __init__(self, life: Life) -> None:
        self._life = life

    def hold(self, holder_id: str) -> None:
        self._life.hold(holder_id)

    def guard(self, unproven: Callable[[float], None], proven: Callable[[], None]) -> None:
        self._life.unproven, self._life.proven = unproven, proven

    def proven_dead(self, holder_id: str) -> bool:
        return self._life.proven_dead(holder_id)

    def watch(self, holder_id: str, on_death: Callable[[], None]) -> Callable[[], None] | None:
        loop = asyncio.get_running_loop()
        if not self._life.watch(holder_id, lambda: _call(loop, on_death)):
            return None
        return lambda: self._life.unwatch(holder_id)

    def tidy(self, keep: Collection[str]) -> None:
        """Nothing: a lock leaves nothing behind."""

    def forget(self, holder_id: str) -> None:
        self._life.let_go(holder_id)

    def close(self) -> None:
        self._life.close()


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
