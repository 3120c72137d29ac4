"""Real processes that share a store, and what they say before they die."""

import functools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

CONTEXT = multiprocessing.get_context("forkserver")
PRELOAD = ["pytest", "hypothesis.stateful", "tests.store.driver", "tests.store.children"]
ROOT = Path(__file__).parents[2]
PATIENCE = 20.0

Say = Callable[[Any], None]


@functools.cache
def _start_server() -> None:
    """It has imported the store but opened nothing: a child costs a fork."""
    CONTEXT.set_forkserver_preload(PRELOAD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", str(ROOT), prepend=os.pathsep
        )  # it preloads before it is told sys.path
        forkserver.ensure_running()


class Child:
    def __init__(self, target: Callable[..., None], *args: Any) -> None:
        _start_server()
        self._inbox, theirs = CONTEXT.Pipe(duplex=False)
        self.process = CONTEXT.Process(target=_run, args=(target, theirs, args))
        self.process.start()
        theirs.close()
        self.heard: list[Any] = []

    def hear(self) -> Any:
        """The next thing it says; fails when it has nothing more to say."""
        if not self._inbox.poll(PATIENCE):
            pytest.fail(f"no word in {PATIENCE} s from {self.process}; it said {self.heard}")
        self.heard.append(self._inbox.recv())
        return self.heard[-1]

    def hear_out(self) -> list[Any]:
        """All it ever says, until it ends."""
        deadline = time.monotonic() + PATIENCE
        while self._inbox.poll(max(0.0, deadline - time.monotonic())):
            try:
                self.heard.append(self._inbox.recv())
            except EOFError:
                break
        self.process.join(max(0.0, deadline - time.monotonic()))
        if self.process.is_alive():
            pytest.fail(f"{self.process} did not end in {PATIENCE} s; it said {self.heard}")
        return self.heard

    @property
    def exit_code(self) -> int | None:
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()
        self.process.join(PATIENCE)

    def close(self) -> None:
        self.kill()
        self._inbox.close()
        self.process.close()


@contextmanager
def child(target: Callable[..., None], *args: Any) -> Iterator[Child]:
    """Runs `target(say, *args)` in a process of its own; dead at the end, whatever happens."""
    one = Child(target, *args)
    try:
        yield one
    finally:
        one.close()


def _run(target: Callable[..., None], outbox: Connection, args: tuple[Any, ...]) -> None:
    target(outbox.send, *args)
