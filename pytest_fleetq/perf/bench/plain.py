"""FLEET-Q pods without the fork server: an interpreter each, as anybody would start them."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self


class PlainPods:
    """None of them outlives the block."""

    def __init__(self, directory: Path) -> None:
        # Tethered: a pod whose standard input ends, does too.
        self._command = [
            sys.executable, "-m", "fleetq_server.cli.tethered", "serve",
            "--store", f"sqlite:///{directory / 'fleet.db'}", "--listen", "127.0.0.1:0",
        ]  # fmt: skip
        self._log = (directory / "log").open("ab")
        self._stack = ExitStack()
        self._stack.callback(self._log.close)
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, count: int) -> None:
        """Returns when all say that they are ready."""
        for _ in range(count):
            popen = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env={**os.environ, "FLEET_Q_CONFIG": os.devnull},
                process_group=0,
            )
            self._running.append(self._stack.enter_context(popen))
            self._stack.callback(popen.kill)
        for popen in self._running:
            assert popen.stdout is not None
            assert b'"ready"' in popen.stdout.readline(), Path(self._log.name).read_text()

    def stop(self) -> None:
        """By SIGTERM; returns when they have ended."""
        for popen in self._running:
            popen.terminate()
        for popen in self._running:
            popen.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
