"""Two ways to start a pod: as a user does, or as a fork of one process that has imported all it
needs, which spares each pod a second of imports."""

import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

ROOT = Path(__file__).parents[2]
READY_WITHIN = 30.0


class Process(Protocol):
    pid: int

    def ready_line(self) -> dict[str, Any] | None:
        """What it says when it is ready; None if it ended before, or takes too long."""
        ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float) -> int | None:
        """Its exit status, or None if it still runs then."""
        ...

    def close(self) -> None: ...


Launcher = Callable[[Sequence[str], Path], Process]


def environment() -> dict[str, str]:
    return {name: v for name, v in os.environ.items() if not name.startswith("FLEET_Q_")}


class Command:
    """`python -m fleetq_server.cli.main serve …`"""

    def __init__(self, arguments: Sequence[str], log: Path, prefix: Sequence[str] = ()) -> None:
        command = [*prefix, sys.executable, "-m", "fleetq_server.cli.main", "serve", *arguments]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(),
                start_new_session=True,  # so that what it starts can be found
            )
        self.pid = self._process.pid
        self.poll = self._process.poll

    def ready_line(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(READY_WITHIN) else b""
        found: dict[str, Any] | None = json.loads(line) if line else None
        return found

    def wait(self, timeout: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return None

    def close(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()


class Fork:
    def __init__(self) -> None:
        self.pid = 0
        self.lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._status: int | None = None
        self._ended = threading.Event()

    def ended(self, status: int) -> None:
        self._status = status
        self._ended.set()
        self.lines.put({"event": "exit"})

    def await_pid(self) -> "Fork":
        self.pid = self.lines.get(timeout=READY_WITHIN)["pid"]
        return self

    def ready_line(self) -> dict[str, Any] | None:
        with contextlib.suppress(queue.Empty):
            line = self.lines.get(timeout=READY_WITHIN)
            return line if line["event"] == "ready" else None
        return None

    def poll(self) -> int | None:
        return self._status

    def wait(self, timeout: float) -> int | None:
        self._ended.wait(timeout)
        return self._status

    def close(self) -> None:
        """Its pipes are the fork server's."""


class ForkServer:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fleetq_server.cli.forkserver"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self._forks: dict[str, Fork] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def launch(self, arguments: Sequence[str], log: Path) -> Process:
        fork = Fork()
        name = f"{len(self._forks)}"
        self._forks[name] = fork
        log.touch()
        request = {"id": name, "args": [*arguments], "cwd": str(ROOT), "log": str(log)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return fork.await_pid()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            line = json.loads(text)
            fork = self._forks.get(line.get("id", ""))
            if fork is None:
                continue
            if line["event"] == "exit":
                fork.ended(line["status"])
            else:
                fork.lines.put(line)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
