"""Real pods as processes of their own, and what tests ask of them.

Nothing here waits for time to pass: every wait is for something that can be seen, ends with it,
and says on timeout what was seen instead.
"""

import fcntl
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from fleetq_server.client import Client
from fleetq_server.model import Event, Holder, HolderStatus, Step, StepId
from fleetq_server.store import open_reader
from fleetq_server.store.base import Reader
from pytest_fleetq.faults import proc
from tests.cluster.launch import Launcher, Process

HANDLERS = "tests.cluster.handlers"
SEEN_WITHIN = 60.0
GLANCE = 0.005

T = TypeVar("T")


def until(look: Callable[[], T | None], what: str, within: float = SEEN_WITHIN) -> T:
    """The first true thing `look` sees."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}; last seen: {seen!r}"
        time.sleep(GLANCE)
    return seen


class Pod:
    """One `fleetq serve`."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.log_path = log
        self.pid = process.pid
        self.id = ""
        self.address = ""

    def await_ready(self) -> "Pod":
        ready = self.process.ready_line()
        if ready is None:
            status = self.process.wait(1)
            raise AssertionError(f"pod not ready (exit status {status}); its log:\n{self.tail()}")
        assert (ready["event"], ready["pid"]) == ("ready", self.pid)
        self.id, self.address = ready["pod_id"], ready["address"]
        return self

    def log(self) -> list[dict[str, Any]]:
        whole = self.log_path.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def said(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log() if line["event"] == event]

    def tail(self) -> str:
        return "\n".join(self.log_path.read_text().splitlines()[-30:])

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, number: int) -> None:
        if self.alive:
            os.kill(self.pid, number)

    def kill(self) -> float:
        """→ the monotonic time of death."""
        self.send(signal.SIGKILL)
        at = time.monotonic()
        self.exit_status()
        return at

    def await_stopped(self) -> None:
        until(lambda: proc.all_stopped(self.pid), f"pod {self.pid} stopped")

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def ask_to_end(self, number: int = signal.SIGTERM) -> None:
        self.send(number)

    def exit_status(self, within: float = SEEN_WITHIN) -> int:
        status = self.process.wait(within)
        assert status is not None, (
            f"pod still runs after {within:g} s ({self.states()}):\n{self.tail()}"
        )
        return status

    def states(self) -> str:
        """Of its threads, and which locks of files it holds or awaits."""
        stats = [one.read_text() for one in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        threads = [re.sub(r"^.*\((.*)\) (\S) .*$", r"\1 \2", stat.strip()) for stat in stats]
        locks = Path("/proc/locks").read_text().splitlines()
        return "; ".join([*threads, *(line for line in locks if f" {self.pid} " in line)])

    def await_nothing_left(self) -> None:
        until(lambda: not self.relatives(), f"nothing is left of pod {self.pid}")

    def relatives(self) -> list[psutil.Process]:
        """Every live process of its group: itself and what it started."""
        return [p for p in psutil.process_iter() if self._is_relative(p)]

    def _is_relative(self, process: psutil.Process) -> bool:
        try:
            return os.getpgid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False


class Pods:
    """A fleet over one new store in one directory."""

    def __init__(self, directory: Path, launch: Launcher, url: str | None = None) -> None:
        self.directory = directory
        self._launch = launch
        self.store = directory / "fleet.db"
        self.url = url or f"sqlite:///{self.store}"
        self.journal = directory / "journal"
        self.until = directory / "go-on"
        self.all: list[Pod] = []
        self._clients: list[Client] = []
        self._reader: Reader | None = None

    # --- pods ---

    def start(self, handlers: str = HANDLERS, **settings: object) -> Pod:
        return self.spawn(handlers, **settings).await_ready()

    def start_many(self, count: int, handlers: str = HANDLERS, **settings: object) -> list[Pod]:
        spawned = [self.spawn(handlers, **settings) for _ in range(count)]
        return [pod.await_ready() for pod in spawned]

    def spawn(self, handlers: str = HANDLERS, **settings: object) -> Pod:
        arguments = ["--store", self.url, "--log-format", "json"]
        arguments += ["--handlers", handlers] if handlers else []
        for name, value in settings.items():
            arguments += [f"--{name.replace('_', '-')}", str(value)]
        log = self.directory / f"pod-{len(self.all)}.log"
        pod = Pod(self._launch(arguments, log), log)
        self.all.append(pod)
        return pod

    def client(self, *pods: Pod, **options: Any) -> Client:
        client = Client([pod.address for pod in pods], **options)
        self._clients.append(client)
        return client

    def leader(self) -> Pod:
        """The pod that leads now."""
        return until(self._leader, "a leader among the live pods")

    def _leader(self) -> Pod | None:
        holder_id = self.reader.leadership().holder_id
        return next((pod for pod in self.all if pod.alive and holder_id in self._ids(pod)), None)

    def _ids(self, pod: Pod) -> set[str]:
        """A pod that rejoined has more than one."""
        return {holder.holder_id for holder in self.holders() if holder.pid == pod.pid}

    def holders(self) -> list[Holder]:
        return self.reader.holders(include_ended=True)

    def holder_of(self, pod: Pod) -> Holder:
        """Its newest incarnation."""
        return [holder for holder in self.holders() if holder.pid == pod.pid][-1]

    def await_leader(self, pod: Pod) -> None:
        until(lambda: self.leader() is pod, f"pod {pod.pid} leads")

    def await_beats(self, pod: Pod, count: int) -> None:
        """A pod looks around once per heartbeat."""
        seen = self.holder_of(pod).beats
        until(lambda: self.holder_of(pod).beats >= seen + count, f"{count} heartbeats of a pod")

    def live(self, pod: Pod) -> bool:
        return self.holder_of(pod).status is HolderStatus.LIVE

    # --- the store ---

    @property
    def reader(self) -> Reader:
        if self._reader is None:
            self._reader = open_reader(self.url)
        return self._reader

    def close_reader(self) -> None:
        """Before the files are changed from outside."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def step(self, step_id: str) -> Step:
        step = self.reader.get_step(StepId(int(step_id)))
        assert step is not None
        return step

    def events(self, *types: str, step: str | None = None) -> list[Event]:
        found = self.reader.events(0, 1_000_000)
        wanted = None if step is None else int(step)
        return [
            event
            for event in found
            if (not types or event.type in types) and (wanted is None or wanted in event.step_ids)
        ]

    def await_event(self, type: str, step: str | None = None, within: float = SEEN_WITHIN) -> Event:
        about = "" if step is None else f" of step {step}"
        return until(lambda: self.events(type, step=step), f"event {type}{about}", within)[0]

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Nobody can write meanwhile: the test stands in the writers' gate."""
        locks = [os.open(f"{self.store}.{name}", os.O_RDWR) for name in ("entrance", "gate")]
        try:
            for lock in locks:
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            for lock in locks:
                os.close(lock)

    def freeze(self, pod: Pod) -> float:
        """Between two of its writes. → the monotonic time"""
        with self.cut_off():
            pod.send(signal.SIGSTOP)
            pod.await_stopped()
            return time.monotonic()

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in Path(f"{self.store}.fleet").iterdir())

    # --- handlers ---

    def payload(self, **more: object) -> dict[str, object]:
        return {"journal": str(self.journal), "until": str(self.until), **more}

    def go_on(self) -> None:
        self.until.touch()

    def told(self, event: str | None = None, step: str | None = None) -> list[dict[str, Any]]:
        """What handlers wrote, in order of writing."""
        if not self.journal.exists():
            return []
        whole = self.journal.read_text().rpartition("\n")[0]
        lines = [json.loads(line) for line in whole.splitlines()]
        return [
            line
            for line in lines
            if event in (None, line["event"]) and step in (None, line["step"])
        ]

    def await_told(
        self, event: str, step: str | None = None, count: int = 1, within: float = SEEN_WITHIN
    ) -> list[dict[str, Any]]:
        def look() -> list[dict[str, Any]]:
            found = self.told(event, step)
            return found if len(found) >= count else []

        return until(look, f"{count} handlers tell {event!r}: {self.told()[-5:]}", within)

    # --- the end ---

    def ends(self) -> Counter[str]:
        """How often each step was recorded as completed."""
        return Counter(str(s) for event in self.events("completed") for s in event.step_ids)

    def tells_of(self, step: str) -> list[tuple[str, int]]:
        """(event, attempt) of one step, in order."""
        return [(line["event"], line["attempt"]) for line in self.told(step=step)]

    def end(self) -> None:
        for client in self._clients:
            client.close()
        for pod in self.all:
            if pod.alive:
                pod.thaw()
                pod.ask_to_end()
        deadline = time.monotonic() + 5
        for pod in self.all:
            if pod.process.wait(max(0.0, deadline - time.monotonic())) is None:
                pod.kill()
            pod.process.close()
        self._check_nothing_runs()
        self._check_store()

    def _check_nothing_runs(self) -> None:
        for pod in self.all:
            pod.await_nothing_left()

    def _check_store(self) -> None:
        if self.url.startswith("sqlite:") and not self.store.exists():
            return
        audit = self.reader.audit()
        self.reader.close()
        assert audit.problems == ()
        assert audit.counted == audit.scanned
        assert audit.counted.conserved


@contextmanager
def pods_over(directory: Path, launch: Launcher, url: str | None = None) -> Iterator[Pods]:
    """A fleet for one test, whose store is checked by a full scan afterwards."""
    fleet = Pods(directory, launch, url)
    try:
        yield fleet
    finally:
        fleet.go_on()
        fleet.end()
