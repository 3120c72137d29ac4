"""What one step costs: statements, commits, syncs and rpcs, CPU time, memory.

A second's work for `fleetq gate`, which runs it dozens of times:

fleetq gate --base origin/main -- python ci/step_cost.py --output {output}

Straight through the store, as a pod's writer uses it, in one process: nothing here depends on what
the machine does meanwhile, except time. The rpcs are those of a client and a worker that make the
same calls every time, counted by a pod in this process.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import apsw
import grpc.aio

from fleetq_server.bench.conditions import sync_milliseconds
from fleetq_server.bench.handlers import NOOP
from fleetq_server.bench.seed import PAYLOAD, fill
from fleetq_server.bench.writer import Writer, submission
from fleetq_server.client import AsyncClient
from fleetq_server.config import load_settings
from fleetq_server.hookspecs import hookimpl, plugin_manager
from fleetq_server.model import Completion
from fleetq_server.pod import Pod
from pytest_fleetq.perf import baselines, here
from pytest_fleetq.perf.results import Benchmark, Results

STEPS, BATCH = 5000, 50
COUNTED_STEPS = 500
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


class CountingFile(apsw.VFSFile):
    def __init__(
        self, name: str | apsw.URIFilename | None, flags: list[int], vfs: "CountingVfs"
    ) -> None:
        super().__init__(vfs.below, name, flags)
        self._counts = vfs.counts

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._counts["fsyncs"] += 1
        super().xSync(flags)


class CountingVfs(apsw.VFS):
    """The system's files, with their syncs counted; in force until it is unregistered."""

    def __init__(self, counts: "Counter[str]") -> None:
        self.below = apsw.vfs_names()[0]  # the default so far
        self.counts = counts
        super().__init__("counting", self.below, makedefault=True)

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return CountingFile(name, flags, self)


@contextmanager
def counting() -> Iterator["Counter[str]"]:
    """What SQLite is asked for by connections that are opened within."""
    counts: Counter[str] = Counter()
    vfs = CountingVfs(counts)

    def hear(_cursor: apsw.Cursor, sql: str, _values: object) -> bool:
        counts["sql_statements"] += 1
        counts["commits"] += sql.startswith("COMMIT")
        return True

    def listen(connection: apsw.Connection) -> None:
        connection.exec_trace = hear

    apsw.connection_hooks.append(listen)
    try:
        yield counts
    finally:
        apsw.connection_hooks.remove(listen)
        vfs.unregister()


def cycle(path: Path, steps: int) -> list[float]:
    """Submits, claims and completes so many. → when each batch was through"""
    with Writer(path) as writer:
        times = [time.perf_counter()]
        for begin in range(0, steps, BATCH):
            writer.turn([submission(begin, BATCH)], claim=BATCH)
            times.append(time.perf_counter())
        writer.turn()
        return times


def counted(directory: Path) -> dict[str, float]:
    path = directory / "counted.db"
    fill(path, 0, paused=False)
    with counting() as counts:
        cycle(path, COUNTED_STEPS)
    counts["rpcs"] = asyncio.run(rpcs(directory / "served.db"))
    return {f"{name}_per_step": number / COUNTED_STEPS for name, number in sorted(counts.items())}


if TYPE_CHECKING:
    Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    Interceptor = grpc.aio.ServerInterceptor  # knows no brackets


class RpcCounter(Interceptor):
    """A plugin of a pod, and the interceptor it brings."""

    def __init__(self) -> None:
        self.calls = 0

    @hookimpl
    def fleetq_grpc_interceptors(self) -> Sequence[Interceptor]:
        return [self]

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        self.calls += 1
        return await continuation(details)


async def rpcs(path: Path) -> int:
    """How many it takes to submit so many steps, half of them one by one, and work them off."""
    counter, plugins = RpcCounter(), plugin_manager()
    plugins.register(counter)
    settings = {"store": f"sqlite:///{path}", "log_level": "ERROR"}
    pod = Pod(load_settings(settings, environ={}, cwd=path.parent), plugins=plugins)
    address = str((await pod.start())["address"])
    try:
        async with AsyncClient(address) as client:
            for number in range(0, COUNTED_STEPS, BATCH):
                await pass_on(client, f"{number:032}")
    finally:
        await pod.drain()
    return counter.calls


async def pass_on(client: AsyncClient, worker: str) -> None:
    one_by_one = (client.submit_one(NOOP, PAYLOAD) for _ in range(BATCH // 2))
    steps = [
        *await client.submit(NOOP, [PAYLOAD] * (BATCH // 2)),
        *await asyncio.gather(*one_by_one),
    ]
    claims = (await client.claim_steps(worker, kinds=[NOOP], limit=BATCH)).claims
    assert len(claims) == BATCH
    await client.complete_steps([Completion(claim.step_id, claim.fence) for claim in claims])
    assert (await client.wait(steps)).completed == BATCH


def timed(directory: Path) -> dict[str, float]:
    path = directory / "timed.db"
    fill(path, 0, paused=False)
    cpu = time.process_time()
    times = cycle(path, STEPS)
    cpu = time.process_time() - cpu
    batches = [after - before for before, after in pairwise(times)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT
    return {
        "cpu_seconds_per_step": cpu / STEPS,
        "throughput_per_sec": STEPS / (times[-1] - times[0]),
        "batch_p50_ms": 1000 * median(batches),
        "rss_peak_mb": peak / 1e6,
    }


def measured(directory: Path) -> Results:
    about = here.configuration(
        ("pytest-fleetq", "apsw"),
        {"sqlite": apsw.sqlite_lib_version()},
        fsync_ms=sync_milliseconds(directory),
    )
    benchmark = Benchmark(
        "step_cost",
        timed(directory),
        counts=counted(directory),
        workload={"steps": STEPS, "batch": BATCH},
    )
    return Results(here.timestamp(), about, [benchmark])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="file for the results; else standard output")
    parser.add_argument("--save", type=Path, help="folder of results to add them to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fleetq-step-cost-") as scratch:
        results = measured(Path(scratch))
    if arguments.save:
        baselines.append(arguments.save, results)
    if arguments.output:
        arguments.output.write_text(results.to_json(), encoding="utf-8")
    elif not arguments.save:
        print(results.to_json())


if __name__ == "__main__":
    main()
