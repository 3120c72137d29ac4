"""One link: a listener, the connections through it, and what is wrong with them."""

import asyncio
from collections import Counter
from random import Random

from pytest_fleetq.faults.proxy.connection import Connection, Side
from pytest_fleetq.faults.proxy.toxics import Poison

BACKLOG = 1024


class Edge:
    def __init__(self, names: tuple[str, str], target: str, seed: int) -> None:
        self.names = names
        self.target = target
        self.hits: Counter[str] = Counter(connections=0, refused=0, reset=0, unreachable=0)
        self._seed = seed
        self._poisons: dict[str, Poison] = {}
        self._connections: set[Connection] = set()
        self._cuts = 0  # several faults may have cut it: it takes as many mends

    async def listen(self) -> str:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accepted, "127.0.0.1", 0, backlog=BACKLOG)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    def poison(self, poison: Poison) -> None:
        poison.check()
        self._poisons[poison.id] = poison
        for connection in list(self._connections):
            self._install(poison, connection)

    def cure(self, id: str) -> None:
        if self._poisons.pop(id, None):
            for connection in list(self._connections):
                connection.remove(id)

    def cut(self) -> None:
        """The listener stays, lest somebody else gets its port, and to count who was refused."""
        self._cuts += 1
        for connection in list(self._connections):
            self.hits["reset"] += 1
            connection.reset()

    def mend(self) -> None:
        self._cuts -= 1

    def _accepted(self) -> Side:
        return Side(self._begun)

    def _begun(self, client: Side) -> None:
        if self._cuts > 0:
            self.hits["refused"] += 1
            client.reset()
            return
        self.hits["connections"] += 1
        # Its own: a connection's luck depends on nothing but the seed and its number.
        luck = f"{self._seed}/{'>'.join(self.names)}/{self.hits['connections']}"
        connection = Connection(client, luck, self.hits, self._connections.discard)
        self._connections.add(connection)
        for poison in self._poisons.values():
            self._install(poison, connection)
        connection.connect(self.target)

    def _install(self, poison: Poison, connection: Connection) -> None:
        luck = Random(f"{connection.luck}/{poison.id}")
        if luck.random() < poison.toxicity:
            connection.install(poison, luck)
