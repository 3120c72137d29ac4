"""Small real worlds for faults: processes that are pods, and a fleet of them.

Nothing here waits for time to pass: every wait is for something that can be seen, ends with it, and
says on timeout what was seen instead.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pytest_fleetq.faults.base import LinksView, PodView
from pytest_fleetq.faults.proc import is_gone

ROOT = Path(__file__).parents[3]
BOUND = 60.0

T = TypeVar("T")

ECHO = """
import socket, sys, threading, time
def serve(one):
    try:
        while data := one.recv(65536):
            one.sendall(data)
    except OSError:
        pass
    one.close()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=512)
print(listener.getsockname()[1], flush=True)
while True:
    try:
        one, _ = listener.accept()
    except OSError:  # no descriptor left
        time.sleep(0.01)
    else:
        threading.Thread(target=serve, args=(one,), daemon=True).start()
"""


def until(look: Callable[[], T], what: str, within: float = BOUND) -> T:
    """The first true thing `look` sees."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}; last seen: {seen!r}"
        time.sleep(0.005)
    return seen


def read_line(process: "subprocess.Popen[str]") -> str:
    """What it says first; nothing if it ends or says nothing for long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(BOUND) else ""


def python(program: str, *args: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program, *args]


class TinyPod:
    """A process that says a line when it is ready. `{port}` in its command is 0 at first, and what
    it then said from its second start on."""

    is_fleetq = False

    def __init__(
        self,
        index: int,
        directory: Path,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.index = index
        self.name = f"pod-{index}"
        self.directory = directory / self.name
        self.directory.mkdir(exist_ok=True)
        self.port = 0
        self.said = ""
        self.pids: list[int] = []
        self._command = command
        self._env = {**os.environ, **(env or {})}
        self._process: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self._end(signal.SIGKILL, BOUND)

    def stop(self, timeout: float = 10.0) -> None:
        self._end(signal.SIGTERM, timeout)

    def start(self) -> None:
        if self.alive:
            return
        self._forget()
        command = [word.replace("{port}", str(self.port)) for word in self._command]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                process_group=0,
            )
        self.pids.append(self._process.pid)
        self.said = self._first_line()
        self._learn(self.said)

    def close(self) -> None:
        if self.alive:
            self.signal(signal.SIGCONT)
            self.kill()
        self._forget()

    def _forget(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()

    def _learn(self, said: str) -> None:
        self.port = int(said)

    def _end(self, number: int, timeout: float) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(BOUND)

    def _first_line(self) -> str:
        assert self._process is not None
        line = read_line(self._process)
        assert line, f"{self.name} said nothing; its log ends: {self.log[-2000:]}"
        return line


class FleetqPod(TinyPod):
    """`fleetq serve`."""

    is_fleetq = True

    def __init__(self, index: int, directory: Path, store: str) -> None:
        command = [sys.executable, "-m", "fleetq_server.cli.main", "serve", "--store", store]
        command += [
            "--listen",
            "127.0.0.1:{port}",
            "--faults",
            "faults.json",
            "--log-level",
            "ERROR",
        ]
        quick = ("--heartbeat-interval-seconds", "0.2", "--dead-pod-threshold-seconds", "2")
        super().__init__(index, directory, [*command, *quick], {"PYTHONPATH": str(ROOT)})

    def _learn(self, said: str) -> None:
        self.port = json.loads(said)["port"]


class TinyFleet:
    """Fulfils FleetView."""

    def __init__(self, directory: Path, pods: Sequence[TinyPod], store: str = "none:") -> None:
        self.directory = directory
        self.pods = pods
        self.store = store
        self._links: LinksView | None = None

    @property
    def leader(self) -> PodView:
        return next(pod for pod in self.pods if pod.alive)

    @property
    def links(self) -> LinksView:
        assert self._links is not None, "made without links"
        return self._links

    @links.setter
    def links(self, links: LinksView) -> None:
        self._links = links


@contextmanager
def running(fleet: TinyFleet) -> Iterator[TinyFleet]:
    """Its pods run, and whatever happens none is left."""
    try:
        for pod in fleet.pods:
            pod.start()
        yield fleet
    finally:
        for pod in fleet.pods:
            pod.close()


@contextmanager
def echoes(directory: Path, size: int = 1) -> Iterator[TinyFleet]:
    pods = [TinyPod(i, directory, python(ECHO, "{port}")) for i in range(size)]
    with running(TinyFleet(directory, pods)) as fleet:
        yield fleet


@contextmanager
def fleetq(directory: Path, size: int = 1) -> Iterator[TinyFleet]:
    """FLEET-Q pods on one SQLite store."""
    store = f"sqlite:///{directory / 'fleet.db'}"
    with running(
        TinyFleet(directory, [FleetqPod(i, directory, store) for i in range(size)], store)
    ) as fleet:
        yield fleet


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    found = socket.create_connection((host, int(port)), BOUND)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def read_exactly(one: socket.socket, size: int) -> bytes:
    """Less if the other side closes."""
    found = bytearray()
    while len(found) < size and (data := one.recv(min(65_536, size - len(found)))):
        found += data
    return bytes(found)


def read_all(one: socket.socket) -> bytes:
    found = bytearray()
    while data := one.recv(65_536):
        found += data
    return bytes(found)


def ask(address: str, message: bytes = b"hello") -> bytes:
    """What an echo server answers."""
    with connect(address) as one:
        one.sendall(message)
        return read_exactly(one, len(message))


def gone(pid: int, born: int) -> None:
    until(lambda: is_gone(pid, born), f"process {pid} is gone")
