"""The owner's end of a process that starts others: the fork server, or the reaper.

It runs in a session of its own, so that neither Ctrl-C nor a signal to our process group reaches
it: it ends when our end of its standard input is closed, by us or by the kernel.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_fleetq.cluster.errors import ClusterError

START_SECONDS = 30.0
END_SECONDS = 10.0


class Child:
    """A process that was asked for, as far as it was heard of."""

    def __init__(self, name: str, changed: threading.Condition) -> None:
        self.name = name
        self.pid: int | None = None
        self.settings: Mapping[str, Any] = {}  # (FLEET-Q) those the verdict needs
        self.ready: Mapping[str, Any] | None = None
        self.status: int | None = None  # -n: signal n ended it
        self.error = ""  # why it could not be started
        self._changed = changed

    @property
    def over(self) -> bool:
        return self.status is not None or bool(self.error)

    def wait(self, done: Callable[["Child"], bool], timeout: float) -> bool:
        """Whether it got so within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: done(self), timeout)

    def hear(self, said: Mapping[str, Any]) -> None:
        match said["event"]:
            case "forked":
                self.pid = said["pid"]
                self.settings = said.get("settings", {})
            case "ready":
                self.ready = said
            case "exit":
                self.status = said["status"]
            case "failed":
                self.error = said["error"]


class Spawner:
    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        pass_fds: Sequence[int] = (),
    ) -> None:
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=dict(env),
                start_new_session=True,
                pass_fds=pass_fds,
            )
        self._log = log
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._children: dict[str, Child] = {}
        self._listening = False
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="fleetq-spawner", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def spawn(self, request: Mapping[str, Any]) -> Child:
        """Starts a process; its id must be new."""
        self._await_listening()
        child = Child(request["id"], self._changed)
        with self._changed:
            self._children[child.name] = child
        self.tell(request)
        return child

    def tell(self, line: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with self._writing:
            try:
                self._process.stdin.write(json.dumps(line).encode() + b"\n")
                self._process.stdin.flush()
            except (BrokenPipeError, ValueError):
                raise ClusterError(f"it starts no more processes: {self._complaint()}") from None

    def let_go(self) -> None:
        """Leaves it to whatever else keeps it running."""
        assert self._process.stdin is not None
        with self._writing, suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.returncode = 0  # nobody waits for it; its destructor would warn

    def close(self) -> None:
        """Has it kill all it started, and waits for its end."""
        assert self._process.stdin is not None
        with self._writing, suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _await_listening(self) -> None:
        begun = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._listening or self._ended, START_SECONDS)
        if not self._listening or self._ended:
            took = time.monotonic() - begun
            raise ClusterError(f"no process could be started ({took:.1f} s): {self._complaint()}")

    def _complaint(self) -> str:
        return self._log.read_text(errors="replace").strip()[-2000:] or "no reason is known"

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.hear(json.loads(line))
        with self._changed:
            self._ended = True
            for child in self._children.values():
                if not child.over:
                    child.error = "its starter ended, and took it along"
            self._changed.notify_all()

    def hear(self, said: Mapping[str, Any]) -> None:
        with self._changed:
            if said["event"] == "listening":
                self._listening = True
            elif child := self._children.get(said["id"]):
                child.hear(said)
            self._changed.notify_all()
