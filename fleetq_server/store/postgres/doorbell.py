"""Waking pods by NOTIFY: never from a transaction that works, and never more often than needed,
for all commits of a database that notify wait for each other."""

import asyncio
from collections.abc import Callable, Collection

from fleetq_server.store.postgres.life import Life

LONGEST = 7000  # bytes; a notice holds less than 8000
NEWS = "news"


class PostgresDoorbell:
    def __init__(self, life: Life, holder_id: str) -> None:
        self._life = life
        self._holder_id = holder_id

    def ring(self) -> None:
        self._life.ring()

    def alert(self, holder_ids: Collection[str] | None = None) -> None:
        if holder_ids is not None and not holder_ids:
            return
        notice = " ".join([NEWS, *(holder_ids or ())])
        self._life.tell(notice if len(notice) <= LONGEST else NEWS)

    def listen(self, on_ring: Callable[[], None], on_alert: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()

        def hear(payload: str) -> None:
            if loop.is_closed():
                return
            if payload.startswith(NEWS) and self._life.addressed(payload.split()[1:]):
                loop.call_soon_threadsafe(on_alert)
            loop.call_soon_threadsafe(on_ring)

        self._life.listen(hear)

    def close(self) -> None:
        self._life.listen(lambda _payload: None)
