"""Processes on a virtual clock: generators that yield how long they wait."""

import heapq
from collections.abc import Generator
from itertools import count

Process = Generator[float, None, None]


class Host:
    """Where processes run: it can freeze them for a while, or end them all."""

    def __init__(self) -> None:
        self.frozen_until = 0.0
        self.up = True


class Simulation:
    def __init__(self) -> None:
        self.now = 0.0
        self._order = count()
        self._waiting: list[tuple[float, int, Process, Host]] = []

    def start(self, process: Process, host: Host, after: float = 0.0) -> None:
        heapq.heappush(self._waiting, (self.now + after, next(self._order), process, host))

    def run(self, until: float) -> None:
        """Until that moment, or until nobody waits for anything."""
        while self._waiting and self._waiting[0][0] <= until:
            moment, _, process, host = heapq.heappop(self._waiting)
            self.now = max(self.now, moment)
            if not host.up:
                process.close()
            elif host.frozen_until > self.now:
                self.start(process, host, host.frozen_until - self.now)
            else:
                self._resume(process, host)
        self.now = until

    def _resume(self, process: Process, host: Host) -> None:
        try:
            wait = next(process)
        except StopIteration:
            return
        self.start(process, host, wait)
