"""What all benchmarks do with a fleet: start it, wait for its counters, miss no step."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from fleetq_server.bench import profiling
from fleetq_server.bench.handlers import MODULE
from fleetq_server.bench.seed import QUEUE
from fleetq_server.cli.spawn import TETHERED, PodProcess, Pods
from fleetq_server.client import Client
from fleetq_server.errors import FleetError
from fleetq_server.model import Counts
from fleetq_server.store import open_reader

LOOK_SECONDS = 0.005
REMOTE_LOOK_SECONDS = 0.03  # each look is work for the server that is measured
PATIENCE_SECONDS = 60.0
MEGABYTE = 1_000_000
READY_SECONDS = 60.0  # eight interpreters start on two cores


class BenchError(FleetError):
    """What was to be measured did not happen."""


class Fleet:
    """Pods over one store, given by its URL or its file, and a view of its counters."""

    def __init__(self, store: Path | str) -> None:
        self.url = url_of(store)
        self.pods = Pods()
        self._reader = open_reader(self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.close()
        self.pods.__exit__(kind, error, trace)

    def start(
        self, count: int = 1, *, parallelism: int = 100, handlers: Sequence[str] = (MODULE,)
    ) -> list[PodProcess]:
        settings = {"max_parallelism": str(parallelism), "capacity_threshold": "1.0"}
        profiler = profiling.current()
        started = self.pods.start(
            count,
            store_url=self.url,
            handlers=handlers,
            settings=settings,
            ready_timeout=READY_SECONDS,
            module=profiler.module if profiler else TETHERED,
        )
        if profiler:
            profiler.attend([pod.pid for pod in started])
        return started

    @property
    def addresses(self) -> list[str]:
        return [pod.address for pod in self.pods.running]

    def memory(self, without: Sequence[PodProcess] = ()) -> float:
        """Resident, of all pods but some, in MB."""
        pods = [pod.pid for pod in self.pods.running if pod not in without]
        return sum(psutil.Process(pid).memory_info().rss for pid in pods) / MEGABYTE

    @property
    def counts(self) -> Counts:
        return self._reader.stats().totals

    def let_go(self) -> float:
        """Resumes the queue of seeded steps; the monotonic time just before."""
        with Client(self.addresses[0]) as client:
            client.stats()  # connects
            begun = time.monotonic()
            client.resume(QUEUE)
            return begun

    def until_completed(self, steps: int) -> float:
        """Waits until so many steps are COMPLETED; the monotonic time when they were."""
        wait_until(
            lambda: self.counts.completed >= steps,
            lambda: f"{steps} steps: {self.counts}",
            look=LOOK_SECONDS if self.url.startswith("sqlite:") else REMOTE_LOOK_SECONDS,
        )
        return time.monotonic()


def wait_until(
    reached: Callable[[], bool],
    missing: Callable[[], str],
    *,
    patience: float = PATIENCE_SECONDS,
    look: float = LOOK_SECONDS,
) -> None:
    deadline = time.monotonic() + patience
    while not reached():
        if time.monotonic() > deadline:
            raise BenchError(f"gave up after {patience:g} s waiting for {missing()}")
        time.sleep(look)


def url_of(store: Path | str) -> str:
    return store if isinstance(store, str) else f"sqlite:///{store}"


def problems(store: Path | str) -> list[str]:
    """What is wrong with the counters or the steps of a store; nothing, unless steps were lost."""
    name = "store" if isinstance(store, str) else store.name
    reader = open_reader(url_of(store))
    try:
        return [f"{name}: {problem}" for problem in reader.audit().problems]
    finally:
        reader.close()
