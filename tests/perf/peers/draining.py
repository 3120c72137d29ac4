"""How each queue drains a backlog: steps per second from the moment its workers, which have started
and are connected, may begin, until the database holds the outcome of every step."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from fleetq_server.bench.claiming import drain
from fleetq_server.bench.fleet import REMOTE_LOOK_SECONDS, BenchError, problems, wait_until
from fleetq_server.bench.postgres.place import new_store
from tests.perf.peers.peer import READY
from tests.perf.peers.place import answer, new_database, order

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 900.0

Worker = subprocess.Popen[str]


def drain_fleetq(server: str, workers: int, steps: int) -> float:
    with new_database(server) as database, new_store(database, steps, paused=True) as url:
        rate = drain(url, workers, steps)
        if wrong := problems(url):
            raise BenchError("; ".join(wrong))
    return rate


@dataclass(frozen=True, slots=True)
class Peer:
    """`left` finds a job that is not done, `done` counts recorded successes; both are SQL."""

    module: str
    left: str
    done: str

    def drain(self, python: Path, server: str, workers: int, steps: int) -> float:
        command = [str(python), "-m", "tests.perf.peers.peer", self.module]
        with new_database(server) as url, ExitStack() as stack:
            subprocess.run([*command, "fill", url, str(steps)], cwd=ROOT, check=True)
            order(url, "VACUUM ANALYZE")
            started = [stack.enter_context(_ready([*command, "work", url])) for _ in range(workers)]
            begun = time.monotonic()
            for worker in started:
                _tell(worker, "go")
            self._until_nothing_is_left(url, started)
            ended = time.monotonic()
            if (done := answer(url, self.done)) != steps:
                raise BenchError(f"{self.module}: {done} of {steps} jobs were done once")
        return steps / (ended - begun)

    def _until_nothing_is_left(self, url: str, workers: list[Worker]) -> None:
        def nothing_left() -> bool:
            if any(worker.poll() is not None for worker in workers):
                raise BenchError(f"{self.module}: a worker ended; see above")
            return session.execute(self.left.encode()).fetchone() is None

        with psycopg.connect(url, autocommit=True) as session:
            wait_until(
                nothing_left,
                lambda: f"{self.module}: {answer(url, self.done)} jobs done",
                patience=PATIENCE_SECONDS,
                look=REMOTE_LOOK_SECONDS,
            )


@contextmanager
def _ready(command: list[str]) -> Iterator[Worker]:
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        try:
            assert worker.stdout is not None
            if worker.stdout.readline().strip() != READY:
                raise BenchError(f"{command[3]}: a worker did not start; see above")
            yield worker
        finally:
            worker.kill()


def _tell(worker: Worker, word: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(f"{word}\n")
    worker.stdin.flush()


PGQUEUER = Peer(
    "on_pgqueuer",
    left="SELECT FROM pgqueuer LIMIT 1",
    done="SELECT count(*) FILTER (WHERE n = 1) FROM"
    " (SELECT count(*) AS n FROM pgqueuer_log WHERE status = 'successful' GROUP BY job_id) AS jobs",
)
PROCRASTINATE = Peer(
    "on_procrastinate",
    left="SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT 1",
    done="SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded' AND attempts = 1",
)
