"""The run: submit all files, kill the leader half-way, follow the fleet to the end."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fleetq_server.cli.demonstration.files import File
from fleetq_server.cli.demonstration.handlers import KIND
from fleetq_server.cli.demonstration.history import TYPES, History, Kill
from fleetq_server.cli.spawn import PodProcess, Pods
from fleetq_server.client import AsyncClient, StepOutcome
from fleetq_server.errors import Unavailable
from fleetq_server.model import Counts, StepId

BATCH = 100
STALL_SECONDS = 60.0
SLOW_DISK = 20e6  # bytes/s; a file so large takes its time in silence
RESULTS_PER_SECOND = 1000  # at the least
MOST_AT_ONCE = 16
ROUNDS = 30  # a pod needs at least so many to do its share, so that there is a half-way


@dataclass(slots=True)
class Run:
    """What the client of the fleet saw."""

    history: History = field(default_factory=History)
    step_ids: list[StepId] = field(default_factory=list)  # in the order of the files
    started_at: float = 0.0
    kill: Kill | None = None
    results: Mapping[str, StepOutcome] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    @property
    def seconds(self) -> float:
        return self.history.last_end - self.started_at


def parallelism(files: int, pods: int) -> int:
    """How many steps one pod runs at once."""
    return min(MOST_AT_ONCE, max(1, files // (pods * ROUNDS)))


async def run_fleet(
    pods: Pods, files: Sequence[File], ended: Callable[[int], None], say: Callable[[str], None]
) -> Run:
    """Hashes the files with these pods; `ended` hears how many steps are at an end, `say` what
    happens.

    Raises:
        Unavailable: nothing happened for a long time, or no pod is left.
    """
    run = Run()
    async with AsyncClient([pod.address for pod in pods.running]) as client:
        run.started_at = time.time()
        submitting = asyncio.create_task(_submit(client, files, run))
        following = asyncio.create_task(_follow(client, pods, files, run, ended, say))
        try:
            await asyncio.gather(submitting, following)
        finally:
            submitting.cancel()
            following.cancel()
        patience = STALL_SECONDS + len(files) / RESULTS_PER_SECOND
        run.results = (await client.wait(run.step_ids, timeout=patience)).results
        run.counts = (await client.stats()).totals
    return run


async def _submit(client: AsyncClient, files: Sequence[File], run: Run) -> None:
    for begin in range(0, len(files), BATCH):
        paths = [file.path for file in files[begin : begin + BATCH]]
        step_ids = await client.submit(KIND, paths, timeout=STALL_SECONDS)
        run.step_ids += [StepId(int(step_id)) for step_id in step_ids]


async def _follow(
    client: AsyncClient,
    pods: Pods,
    files: Sequence[File],
    run: Run,
    ended: Callable[[int], None],
    say: Callable[[str], None],
) -> None:
    history, loop = run.history, asyncio.get_running_loop()
    patience = STALL_SECONDS + max(file.size for file in files) / SLOW_DISK
    try:
        async with asyncio.timeout(patience) as limit:
            async for event in client.events(after=0, types=TYPES):
                limit.reschedule(loop.time() + patience)
                history.see(event)
                ended(len(history.ended))
                leader = _leader_to_kill(pods, len(files), run)
                if leader is not None:
                    run.kill = Kill(leader.pod_id, leader.pid, time.time(), len(history.ended))
                    await asyncio.to_thread(pods.kill, leader)
                    say(f"killed the leader, pod {leader.pod_id[:8]} (pid {leader.pid})")
                if _is_over(len(files), run):
                    return
    except TimeoutError:
        done = f"{len(history.ended)} of {len(files)} steps"
        raise Unavailable(f"nothing happened for {patience:.0f} s, after {done}") from None


def _leader_to_kill(pods: Pods, files: int, run: Run) -> PodProcess | None:
    """The leader's process, when it is time for its end."""
    history = run.history
    if run.kill is not None or 2 * len(history.ended) < files or len(history.ended) >= files:
        return None
    if history.leader is None or not history.holds_steps(history.leader):
        return None
    return next((pod for pod in pods.running if pod.pod_id == history.leader), None)


def _is_over(files: int, run: Run) -> bool:
    """All steps are at an end, and the fleet has told of the leader's."""
    history, kill = run.history, run.kill
    if len(history.ended) < files:
        return False
    return kill is None or (kill.pod_id in history.died_at and history.leader != kill.pod_id)
