"""Nothing survives: no process, no folder, whatever ends pytest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.plugin.conftest import Traces

WITHIN = 15.0

CONFTEST = """
import os, time
from pathlib import Path
import pytest

def reach(phase):
    (Path(__file__).parent / "reached").write_text(phase)
    if os.environ.get("PHASE") == phase:
        time.sleep(100)

@pytest.fixture
def fleets(cluster):
    # Both kinds leave grandchildren in sessions of their own, which no process group catches.
    own = cluster(2, command=["sh", "-c", "setsid -f sleep 1000; exec sleep 1000"], ready="started")
    queue = cluster(2, handlers="my_handlers")
    reach("setup")
    return own, queue

def pytest_fleetq_cluster_ending(fleet):
    reach("teardown")
"""

TEST = """
import os
from conftest import reach

def test_it(fleets):
    reach("call")
    assert os.environ["PHASE"] != "fail"
"""

STARTING = """
import os, pytest
from pathlib import Path

def look(pod):
    (Path(__file__).parent / "reached").write_text("starting")

def test_it(cluster):
    command = ["sh", "-c", "setsid -f sleep 1000; exec sleep 1000"]
    cluster(2, command=command, ready=look, timeout=100)
"""

HANDLERS = """
import subprocess
from fleetq_server import handler

subprocess.Popen(["sleep", "1000"], start_new_session=True)

@handler("nothing")
def nothing(ctx):
    pass
"""


@pytest.fixture
def start(
    project: pytest.Pytester, arguments: list[str], traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    project.makepyfile(my_handlers=HANDLERS)
    project.makeconftest(CONFTEST)
    running: list[subprocess.Popen[bytes]] = []

    def go(phase: str, *more: str, source: str = "") -> "subprocess.Popen[bytes]":
        monkeypatch.setenv("PHASE", phase)
        project.makepyfile(test_it=source or TEST)
        command = [sys.executable, "-m", "pytest", *arguments, *more]
        log = (project.path / "out").open("wb")
        with log:
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


def nothing_is_left(traces: Traces) -> None:
    until(lambda: not traces.processes(), lambda: [p.cmdline() for p in traces.processes()])
    until(lambda: not traces.folders(), traces.folders)


@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
def test_nothing_survives_sigkill_of_pytest(start, project, traces, phase: str) -> None:
    pytest_process = start(phase)
    until(reached(project, phase), said(project))
    assert len(traces.processes()) > 6
    pytest_process.kill()
    pytest_process.wait()
    nothing_is_left(traces)


def test_nothing_survives_sigkill_while_pods_are_starting(start, project, traces) -> None:
    pytest_process = start("", source=STARTING)
    until(reached(project, "starting"), said(project))
    pytest_process.kill()
    pytest_process.wait()
    nothing_is_left(traces)


@pytest.mark.parametrize(("phase", "status"), [("", 0), ("fail", 1)])
def test_nothing_survives_the_normal_end(start, project, traces, phase: str, status: int) -> None:
    assert start(phase).wait(WITHIN + 15) == status, said(project)()
    # At once: whoever waited for pytest finds the machine as it was.
    assert [p.cmdline() for p in traces.processes()] == []
    assert traces.folders() == []


def test_nothing_survives_ctrl_c(start, project, traces) -> None:
    pytest_process = start("call")
    until(reached(project, "call"), said(project))
    os.killpg(pytest_process.pid, signal.SIGINT)
    assert pytest_process.wait(WITHIN) == pytest.ExitCode.INTERRUPTED, said(project)()
    nothing_is_left(traces)


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_nothing_survives_pytest_timeout(start, project, traces, method: str) -> None:
    pytest_process = start("call", "--timeout=6", f"--timeout-method={method}")
    assert pytest_process.wait(WITHIN + 15) == 1
    assert "Timeout" in said(project)()
    nothing_is_left(traces)


def test_nothing_survives_a_crashed_xdist_worker(start, project, traces) -> None:
    pytest_process = start("call", "-n1", "--max-worker-restart=0")
    until(reached(project, "call"), said(project))
    [reaper] = reapers(traces)
    worker = reaper.parent()
    assert worker is not None
    assert worker.ppid() == pytest_process.pid
    worker.kill()
    assert pytest_process.wait(WITHIN) == 1, said(project)()
    nothing_is_left(traces)


def test_the_folders_of_a_killed_reaper_are_removed_by_the_next_run(start, project, traces) -> None:
    pytest_process = start("call")
    until(reached(project, "call"), said(project))
    [reaper] = reapers(traces)
    reaper.kill()
    pytest_process.kill()
    pytest_process.wait()
    until(traces.folders, said(project))
    start("").wait(WITHIN + 15)
    until(lambda: not traces.folders(), traces.folders)
