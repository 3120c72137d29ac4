"""The links of a cluster, from the test's side: starts the proxy process and gives it orders."""

import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pytest_fleetq.faults.errors import LinksError
from pytest_fleetq.faults.tether import own_module

ANSWER_SECONDS = 10.0
_PROXY = "pytest_fleetq.faults.proxy.server"


class Links:
    """Fulfils `LinksView`. May be used by several threads. The proxy process is started at once and
    awaited by the first order; it ends with `close`, or with this one, whatever that dies of."""

    def __init__(self, seed: int = 0) -> None:
        self._turn = threading.Lock()  # to give an order
        self._edging = threading.RLock()  # to add an edge, or to see all
        self._edges: dict[tuple[str, str], str] = {}
        self._watching: list[Callable[[tuple[str, str]], object]] = []
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                own_module(_PROXY, str(os.getpid()), str(seed)),
                stdin=theirs.fileno(),
                stdout=self._log,
                stderr=self._log,
                process_group=0,
            )
        self._control.settimeout(ANSWER_SECONDS)
        self._answers = self._control.makefile("rb")

    @property
    def pid(self) -> int:
        return self._process.pid

    def add_edge(self, source: str, target: str, address: str) -> str:
        """A link to a HOST:PORT. → the HOST:PORT to connect to instead"""
        with self._edging:
            listen: str = self._order("add_edge", edge=(source, target), address=address)
            self._edges[source, target] = listen
            for see in self._watching:
                see((source, target))
            return listen

    def retarget(self, edge: tuple[str, str], address: str) -> None:
        """New connections of a link go there from now on."""
        self._order("retarget", edge=edge, address=address)

    def address(self, edge: tuple[str, str]) -> str:
        """Where this link listens."""
        return self._edges[edge]

    def edges(self) -> Sequence[tuple[str, str]]:
        return list(self._edges)

    def watch(self, see: Callable[[tuple[str, str]], object]) -> Callable[[], None]:
        with self._edging:
            for edge in self.edges():
                see(edge)
            self._watching.append(see)
        return partial(self._unwatch, see)

    def _unwatch(self, see: Callable[[tuple[str, str]], object]) -> None:
        with self._edging:
            if see in self._watching:
                self._watching.remove(see)

    def add_toxic(
        self,
        edge: tuple[str, str],
        toxic: str,
        stream: str,
        attributes: Mapping[str, float],
        toxicity: float = 1.0,
    ) -> str:
        added: str = self._order(
            "add_toxic", edge=edge, toxic=toxic, stream=stream, attributes=dict(attributes),
            toxicity=toxicity,
        )  # fmt: skip
        return added

    def remove_toxic(self, toxic_id: str) -> None:
        self._order("remove_toxic", id=toxic_id)

    def cut(self, edge: tuple[str, str]) -> None:
        self._order("cut", edge=edge)

    def mend(self, edge: tuple[str, str]) -> None:
        self._order("mend", edge=edge)

    def hits(self, edge: tuple[str, str]) -> Mapping[str, int]:
        found: dict[str, int] = self._order("hits", edge=edge)
        return found

    def close(self) -> None:
        """Every connection ends, and the process."""
        with self._turn:
            if self._log.closed:
                return
            self._answers.close()
            self._control.close()
            try:
                self._process.wait(2.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._log.close()

    def _order(self, what: str, **details: object) -> Any:
        with self._turn:
            if self._log.closed:
                raise LinksError("the links are closed")
            try:
                self._control.sendall(json.dumps({"do": what, **details}).encode() + b"\n")
                line = self._answers.readline()
            except OSError as error:
                raise LinksError(
                    f"the proxy does not answer: {error}{self._complaint()}"
                ) from error
        if not line:
            raise LinksError(f"the proxy has ended{self._complaint()}")
        answer = json.loads(line)
        if "error" in answer:
            raise LinksError(answer["error"])
        return answer["ok"]

    def _complaint(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), 2000, max(0, size - 2000)).decode(errors="replace")
        return f"; it said: {tail.strip()}" if tail.strip() else ""
