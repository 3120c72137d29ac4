"""The proxy process of a cluster, with all its links: `server PARENT SEED`, started by `Links`.

An order is a JSON line on standard input, which is a socket, and so is the answer:

    {"do": "cut", "edge": ["client", "pod-0"]}    →    {"ok": null}  or  {"error": "…"}
"""

import asyncio
import gc
import itertools
import json
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any

from pytest_fleetq.faults.proxy.edge import Edge
from pytest_fleetq.faults.proxy.toxics import Poison
from pytest_fleetq.faults.tether import end_with_parent

Request = Mapping[str, Any]


class Proxies:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._edges: dict[tuple[str, str], Edge] = {}
        self._poisoned: dict[str, Edge] = {}  # by the toxic's id
        self._numbers = itertools.count(1)

    async def add_edge(self, request: Request) -> str:
        edge = Edge(tuple(request["edge"]), request["address"], self._seed)
        self._edges[edge.names] = edge
        return await edge.listen()

    async def retarget(self, request: Request) -> None:
        self._edge(request).target = request["address"]

    async def add_toxic(self, request: Request) -> str:
        edge = self._edge(request)
        number = next(self._numbers)
        poison = Poison(
            f"{request['toxic']}-{number}", request["toxic"], request["stream"],
            request["attributes"], request["toxicity"],
        )  # fmt: skip
        edge.poison(poison)
        self._poisoned[poison.id] = edge
        return poison.id

    async def remove_toxic(self, request: Request) -> None:
        if edge := self._poisoned.pop(request["id"], None):
            edge.cure(request["id"])

    async def cut(self, request: Request) -> None:
        self._edge(request).cut()

    async def mend(self, request: Request) -> None:
        self._edge(request).mend()

    async def hits(self, request: Request) -> Mapping[str, int]:
        return self._edge(request).hits

    def _edge(self, request: Request) -> Edge:
        source, target = request["edge"]
        return self._edges[source, target]

    async def obey(self, line: bytes) -> dict[str, object]:
        request = json.loads(line)
        try:
            return {"ok": await getattr(self, request["do"])(request)}
        except KeyError as error:
            return {"error": f"there is no {error}"}
        except (ValueError, OSError) as error:
            return {"error": str(error)}


async def _obey(seed: int) -> None:
    proxies = Proxies(seed)
    control = socket.socket(fileno=0)
    reader, writer = await asyncio.open_connection(sock=control)
    while line := await reader.readline():
        writer.write(json.dumps(await proxies.obey(line)).encode() + b"\n")
        await writer.drain()


def serve(parent: int, seed: int) -> None:
    """Until nobody is left who could give orders."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    end_with_parent(parent)
    gc.freeze()
    asyncio.run(_obey(seed))


if __name__ == "__main__":
    serve(parent=int(sys.argv[1]), seed=int(sys.argv[2]))
