"""One pod: a process, its folder, its log."""

import os
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from pytest_fleetq.cluster.errors import ClusterError, PodFailed
from pytest_fleetq.cluster.spawner import Child
from pytest_fleetq.cluster.waiting import until
from pytest_fleetq.faults import proc

if TYPE_CHECKING:
    from pytest_fleetq.cluster.starters import Starter

TAIL_LINES = 40
GONE_SECONDS = 10.0
STOP_SECONDS = 10.0
ENDING = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT)
STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


class Pod:
    """A process of the cluster. What it is told to do has happened when the call returns. Several
    threads may tell it something, such as a test and a schedule of faults.

    Attributes:
        index, name: 0 and `pod-0` for the first.
        directory: Its own folder, which outlives its restarts.
        log: The file with all it wrote to standard output and error.
        host, port: Where it listens.
        address: Where the test's client reaches it: itself, or with links on its proxy.
        pod_id: (FLEET-Q) its id as of its last start; it may begin anew under another.
    """

    def __init__(self, index: int, directory: Path, starter: "Starter", host: str) -> None:
        self.index = index
        self.name = f"pod-{index}"
        self.directory = directory
        self.log = directory / "log"
        self.host = host
        self.port = 0
        self.pod_id = ""
        self.link = ""  # the proxy's address for the test's client
        self.handed_out = False  # whether anybody asked for its address
        self.expected_to_end = False
        self._starter = starter
        self._child: Child | None = None
        self._starting = threading.Lock()
        self._log_begin = 0

    def __repr__(self) -> str:
        if self._child is None:
            return f"<{self.name}: not started>"
        state = "alive" if self.alive else f"ended, status {self.status}"
        return f"<{self.name}: pid {self._child.pid}, {state}>"

    @property
    def is_fleetq(self) -> bool:
        return self._starter.is_fleetq

    @property
    def address(self) -> str:
        self.handed_out = True
        return self.front

    @property
    def front(self) -> str:
        """Its address, for the harness itself."""
        return self.link or f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """Of its last start. ClusterError if there was none."""
        child = self._child
        pid = None if child is None else _pid(child)
        if pid is None:
            raise ClusterError(f"{self.name} never ran")
        return pid

    @property
    def alive(self) -> bool:
        """Whether it runs; a paused one does."""
        return self._child is not None and not self._child.over

    @property
    def settings(self) -> Mapping[str, Any]:
        """(FLEET-Q) Of its last start: those the verdict needs, None where they were wrong."""
        return self._child.settings if self._child else {}

    @property
    def status(self) -> int | None:
        """Its exit status, -n if signal n ended it; None while it runs."""
        return self._child.status if self._child else None

    # --- its life ---

    def launch(self) -> None:
        """Starts it without waiting for it; see `await_ready`."""
        self.expected_to_end = False
        self._log_begin = self.log.stat().st_size if self.log.exists() else 0
        self._child = self._starter.launch(self)

    def await_ready(self, timeout: float) -> None:
        """Raises: PodFailed if it ends meanwhile, or is not ready in time."""
        assert self._child is not None
        self._starter.await_ready(self, self._child, timeout)

    def start(self) -> None:
        """Starts it again on its old port, if it is not running; returns when it is ready."""
        with self._starting:
            if not self.alive:
                self.launch()
                self.await_ready(self._starter.timeout)

    def kill(self) -> None:
        """SIGKILL to it and to everything it started."""
        self.expected_to_end = True
        if self._child is not None:
            self._kill(self._child)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """SIGTERM, and SIGKILL after `timeout` seconds, then to whatever it left behind."""
        child = self._child
        if child is None:
            return
        self._ask_to_end(child)
        if not child.wait(lambda child: child.over, timeout):
            self._kill(child)
        _kill_group(child)

    def ask_to_end(self) -> None:
        """SIGTERM, without waiting for what comes of it."""
        if self._child is not None:
            self._ask_to_end(self._child)

    def restart(self, timeout: float = STOP_SECONDS) -> None:
        """Stops it and starts it again on its old port."""
        self.stop(timeout)
        self.start()

    def pause(self) -> None:
        """SIGSTOP; returns when the kernel shows every thread of it stopped."""

        def stopped() -> bool:
            status = psutil.Process(self.pid).status() if self.alive else ""
            return status in STOPPED and proc.all_stopped(self.pid)

        self.signal(signal.SIGSTOP)
        until(stopped, f"{self.name} stopped", GONE_SECONDS, self.check_alive)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: int) -> None:
        """Sends a signal to its process; one that is gone does not mind."""
        if number in ENDING:
            self.expected_to_end = True
        if self._child is not None:
            _signal(self._child, number)

    def wait_ended(self, timeout: float = GONE_SECONDS) -> int:
        """Waits until it has ended by itself. → its exit status

        Raises:
            PodFailed: it still runs after `timeout` seconds.
        """
        child = self._child
        assert child is not None
        if not child.wait(lambda child: child.over, timeout):
            raise PodFailed(self.name, f"still runs after {timeout:g} s", None, self.log_tail())
        if self._child is child:
            self.expected_to_end = True
        return child.status if child.status is not None else 1

    # --- what it said ---

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        return "\n".join(self.log_from().splitlines()[-lines:])

    def log_from(self, begin: int = 0) -> str:
        """Args: begin: where, in bytes."""
        try:
            with self.log.open("rb") as log:
                log.seek(begin)
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def log_since_start(self) -> str:
        return self.log_from(self._log_begin)

    def fill(self, text: str) -> str:
        """The text with the pod's own values for the placeholders of commands."""
        return self._starter.plan(self).fill(text)

    def failed(self, problem: str) -> PodFailed:
        tail = "\n".join(self.log_since_start().splitlines()[-TAIL_LINES:])
        return PodFailed(self.name, problem, self.status, tail)

    def check_alive(self) -> None:
        """Raises: PodFailed if it ended though nobody asked it to."""
        if self.ended_unasked:
            raise self.failed(self.about_its_end())

    @property
    def ended_unasked(self) -> bool:
        return self._child is not None and self._child.over and not self.expected_to_end

    def about_its_end(self) -> str:
        return describe_end(self._child)

    # Each is about the process it is given: another may be started as soon as that one has ended.

    def _ask_to_end(self, child: Child) -> None:
        self.expected_to_end = True
        _signal(child, signal.SIGTERM)
        _signal(child, signal.SIGCONT)  # a paused one could not obey

    def _kill(self, child: Child) -> None:
        pid = _pid(child)
        if pid is not None and not child.over:
            victims = [pid, *_descendants(pid)]
            _kill_group(child)
            for victim in victims:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
        if not child.wait(lambda child: child.over, GONE_SECONDS):
            problem = f"survived SIGKILL for {GONE_SECONDS:g} s"
            raise PodFailed(self.name, problem, None, self.log_tail())


def _pid(child: Child) -> int | None:
    """None if it could not be started."""
    child.wait(lambda child: child.over or child.pid is not None, GONE_SECONDS)
    return child.pid


def _signal(child: Child, number: int) -> None:
    pid = _pid(child)
    if pid is not None and not child.over:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _descendants(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return []


def _kill_group(child: Child) -> None:
    # It leads a group of its own, whose number stays taken while any member lives.
    if child.pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def describe_end(child: Child | None) -> str:
    """In words: how it ended."""
    if child is None:
        return "never ran"
    if child.error:
        return f"could not run: {child.error}"
    if child.status is None:
        return "runs"
    if child.status < 0:
        name = signal.Signals(-child.status).name if -child.status in list(signal.Signals) else ""
        return f"was ended by signal {-child.status} {name}".rstrip()
    return f"ended with exit status {child.status}"
