"""Nothing survives: no process, no port, no file, whatever ends pytest and in whichever phase."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.plugin.conftest import MARK, Traces, still_shared, xdist

WITHIN = 60.0

CONFTEST = f"""
import os, time
from pathlib import Path
import pytest

FOLDER = Path(__file__).parent
# Grandchildren in sessions of their own, one of them with nothing in its environment.
OWN = "setsid -f sleep 1000; setsid -f env -i sleep ${MARK}; exec sleep 1000"

def reach(phase):
    (FOLDER / "reached").write_text(phase)
    if os.environ.get("PHASE") == phase:
        time.sleep(100)

@pytest.fixture
def fleets(cluster):
    own = cluster(2, command=["sh", "-c", OWN], ready="started")
    queue = cluster(2, handlers="my_handlers")
    (FOLDER / "addresses").write_text(" ".join(queue.addresses))
    reach("setup")
    return own, queue

def pytest_fleetq_cluster_ending(fleet):
    reach("teardown")

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    reach("finish")
"""

TEST = """
import os
from conftest import reach

def test_it(fleets):
    reach("call")
    assert os.environ["PHASE"] != "fail"
"""

STARTING = """
import pytest
from conftest import OWN, FOLDER

def look(pod):
    (FOLDER / "reached").write_text("starting")

def test_it(cluster):
    cluster(2, command=["sh", "-c", OWN], ready=look, timeout=100)
"""

COLLECTING = """
import pytest_fleetq
from conftest import OWN, reach

with pytest_fleetq.Cluster(2, command=["sh", "-c", OWN], ready="started") as fleet:
    reach("collection")

def test_it():
    pass
"""

FINISHING = """
import pytest
from conftest import OWN

@pytest.mark.fleetq(scope="run")
def test_it(cluster):
    cluster(2, command=["sh", "-c", OWN], ready="started")
"""

HANDLERS = f"""
import os, subprocess
from fleetq_server import handler

subprocess.Popen(["sleep", "1000"], start_new_session=True)
subprocess.Popen(["sleep", os.environ["{MARK}"]], start_new_session=True, env={{}})

@handler("nothing")
def nothing(ctx):
    pass
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(
    project: pytest.Pytester, arguments: list[str], traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Start]:
    project.makepyfile(my_handlers=HANDLERS)
    project.makeconftest(CONFTEST)
    running: list[subprocess.Popen[bytes]] = []

    def go(phase: str, *more: str, source: str = TEST) -> "subprocess.Popen[bytes]":
        monkeypatch.setenv("PHASE", phase)
        project.makepyfile(test_it=source)
        command = [sys.executable, "-m", "pytest", *arguments, *xdist(more), *more]
        with (project.path / "out").open("wb") as log:
            popen = subprocess.Popen(
                command, cwd=project.path, stdout=log, stderr=log, start_new_session=True
            )
        running.append(popen)
        return popen

    yield go
    for popen in running:
        popen.kill()
        popen.wait()


def until(look: Callable[[], object], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN
    while not look():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


def reached(project: pytest.Pytester, phase: str) -> Callable[[], bool]:
    def look() -> bool:
        path: Path = project.path / "reached"
        return path.exists() and path.read_text() == phase

    return look


def said(project: pytest.Pytester) -> Callable[[], str]:
    return (project.path / "out").read_text


def reapers(traces: Traces) -> list[psutil.Process]:
    return [p for p in traces.processes() if "reaper.py" in " ".join(p.cmdline())]


def left(traces: Traces, shared_memory: Iterable[str] = ()) -> list[object]:
    """What is there in the end: at most a moment later than pytest."""

    def look() -> list[object]:
        processes = [str(process) for process in traces.processes()]
        memory = still_shared(shared_memory)
        return [*processes, *traces.folders(), *traces.files(), *memory]

    deadline = time.monotonic() + WITHIN
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("phase", "source", "number"),
    [
        ("collection", COLLECTING, signal.SIGKILL),
        ("starting", STARTING, signal.SIGKILL),
        ("setup", TEST, signal.SIGKILL),
        ("call", TEST, signal.SIGKILL),
        ("call", TEST, signal.SIGTERM),  # how CI ends a job
        ("teardown", TEST, signal.SIGKILL),
        ("finish", FINISHING, signal.SIGKILL),
    ],
)
def test_nothing_survives_what_ends_pytest_at_once(
    start: Start, project, traces, phase: str, source: str, number: int
) -> None:
    pytest_process = start(phase, source=source)
    until(reached(project, phase), said(project))
    until(lambda: len(traces.processes()) > 4, said(project))
    shared_memory = traces.shared_memory()
    assert bool(shared_memory) == (source == TEST), "the index of SQLite's WAL, with FLEET-Q pods"
    pytest_process.send_signal(number)
    pytest_process.wait()
    assert left(traces, shared_memory) == []


@pytest.mark.parametrize(("phase", "status"), [("", 0), ("fail", 1)])
def test_nothing_survives_the_normal_end(
    start: Start, project, traces, phase: str, status: int
) -> None:
    assert start(phase).wait(WITHIN) == status, said(project)()
    # At once: whoever waited for pytest finds the machine as it was.
    assert list(map(str, traces.processes())) == []
    assert traces.folders() == []
    assert traces.files() == []
    for address in (project.path / "addresses").read_text().split():
        host, port = address.split(":")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))


@pytest.mark.parametrize("phase", ["call", "teardown"])
def test_nothing_survives_ctrl_c(start: Start, project, traces, phase: str) -> None:
    pytest_process = start(phase)
    until(reached(project, phase), said(project))
    shared_memory = traces.shared_memory()
    os.killpg(pytest_process.pid, signal.SIGINT)
    assert pytest_process.wait(WITHIN) == pytest.ExitCode.INTERRUPTED, said(project)()
    assert left(traces, shared_memory) == []


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_before_pytest_timeout_strikes_the_pods_say_what_they_do_and_nothing_survives(
    start: Start, project, traces, method: str
) -> None:
    only_the_call = ["-o", "timeout_func_only=true"]
    pytest_process = start("call", "--timeout=2", f"--timeout-method={method}", *only_the_call)
    assert pytest_process.wait(WITHIN) == 1
    output = said(project)()
    first, last = output.index("pod-0 is doing ----"), output.rindex("pod-1 is doing ----")
    assert first < last
    assert '"event": "leading"' in output, output  # a pod's log
    assert "(most recent call first)" in output[last:], output  # a pod's stacks
    assert "Timeout" in output
    assert left(traces) == []


def test_nothing_survives_a_crashed_xdist_worker(start: Start, project, traces) -> None:
    pytest_process = start("call", "-n1", "--max-worker-restart=0")
    until(reached(project, "call"), said(project))
    [reaper] = reapers(traces)
    worker = reaper.parent()
    assert worker is not None
    assert worker.ppid() == pytest_process.pid
    shared_memory = traces.shared_memory()
    worker.kill()
    assert pytest_process.wait(WITHIN) == 1, said(project)()
    assert left(traces, shared_memory) == []


def test_nothing_survives_sigkill_of_workers_that_share_a_cluster(
    start: Start, project, traces
) -> None:
    workers = ("--tx", "2*popen", "--dist=each", "--fleetq-scope=run")
    pytest_process = start("call", *workers)
    until(reached(project, "call"), said(project))
    shared_memory = traces.shared_memory()
    os.killpg(pytest_process.pid, signal.SIGKILL)
    pytest_process.wait()
    assert left(traces, shared_memory) == []


def test_the_folders_of_a_killed_reaper_are_removed_by_the_next_run(
    start: Start, project, traces
) -> None:
    pytest_process = start("call")
    until(reached(project, "call"), said(project))
    [reaper] = reapers(traces)
    reaper.kill()
    pytest_process.kill()
    pytest_process.wait()
    assert traces.folders() != [], "nobody was there to remove them"
    assert start("").wait(WITHIN) == 0, said(project)()
    assert traces.folders() == []
