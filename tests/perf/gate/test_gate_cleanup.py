"""However a gate ends, nothing of it stays: no process, no file, no working tree."""

import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.perf.gate.repository import PYTHON, Repository, command_of, gate

pytestmark = pytest.mark.commands

WAIT_SECONDS = 30.0

# A process and its child, in a session of its own, which both hold the FIFO open while they live.
SLEEPERS = """
import os, time
life = os.open(os.environ["LIFE"], os.O_WRONLY)
if os.fork() == 0:
    os.setsid()
    os.write(life, b"2")
    time.sleep(600)
os.write(life, b"1")
time.sleep(600)
"""


class Life:
    """Hears from processes, and of the end of the last of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        ready, _, _ = select.select([self._end], [], [], WAIT_SECONDS)
        assert ready, "nothing was heard"
        return os.read(self._end, 1)

    def close(self) -> None:
        os.close(self._end)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    heard = Life(tmp_path / "life")
    yield heard
    heard.close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def start(repository: Repository, life: Life, tmp_path: Path) -> "subprocess.Popen[bytes]":
    (tmp_path / "tmp").mkdir()
    (repository.directory / "bench.py").write_text(SLEEPERS)
    repository.commit_all()
    words = ["--base", "HEAD", "--install", "", "--directory", str(repository.directory)]
    env = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "LIFE": str(life.path)}
    process = subprocess.Popen(
        command_of(*words, "--", *PYTHON), env=env, stderr=subprocess.DEVNULL
    )
    assert {life.read(), life.read()} == {b"1", b"2"}
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_and_cleans_up(
    number: signal.Signals, repository: Repository, life: Life, tmp_path: Path
) -> None:
    process = start(repository, life, tmp_path)
    assert list((tmp_path / "tmp").iterdir())
    assert len(repository.worktrees) > 1
    process.send_signal(number)
    assert process.wait(WAIT_SECONDS) == 130
    assert life.read() == b"", "the benchmark is still there"
    assert not list((tmp_path / "tmp").iterdir())
    assert len(repository.worktrees) == 1


def test_a_gate_that_was_killed_takes_its_processes_along(
    repository: Repository, life: Life, tmp_path: Path
) -> None:
    process = start(repository, life, tmp_path)
    process.kill()
    process.wait()
    assert life.read() == b""
    # What git still remembers of its checkouts is forgotten by the next gate.
    assert len(repository.worktrees) > 1
    (repository.directory / "bench.py").write_text("raise SystemExit(1)")
    repository.commit_all()
    assert gate(repository, "--base", "HEAD").code == 5
    assert len(repository.worktrees) == 1


LEAVES_ONE = """
import json, os, sys, time
left = "{left}"
if os.path.exists(left):
    try:
        os.kill(int(open(left).read()), 0)
        sys.exit("the last run's is still there")
    except ProcessLookupError:
        pass
child = os.fork()
if child == 0:
    os.setsid()
    time.sleep(600)
open(left, "w").write(str(child))
print(json.dumps({{"timestamp": "2026-01-01", "benchmarks":
    [{{"benchmark_name": "toy", "metrics": {{}}, "counts": {{"n": 1}}}}]}}))
"""


def test_what_a_run_leaves_is_ended_before_the_next(repository: Repository, tmp_path: Path) -> None:
    script = LEAVES_ONE.format(left=tmp_path / "left")
    (repository.directory / "bench.py").write_text(script)
    repository.commit_all()
    ended = gate(repository, "--base", "HEAD")
    assert ended.code == 0, ended.out
    assert (tmp_path / "left").exists()
