"""Whatever the tests die of, no helper of a fault outlives them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.proxy.links import Links
from pytest_fleetq.faults.storage import strace
from tests.plugin.faults.world import BOUND, ROOT, gone, read_line

PARENT = """
import json, os, subprocess, sys, threading
from pathlib import Path
from pytest_fleetq.faults.proxy.links import Links
from pytest_fleetq.faults.registry import Registry
from tests.plugin.faults.world import TinyFleet, TinyPod, python
from tests.plugin.faults.test_storage import WRITER

folder = Path(sys.argv[1])
fleet = TinyFleet(folder, [TinyPod(0, folder, python(WRITER))], f"sqlite:///{folder}/fleet.db")
fleet.pods[0].start()
(folder / "fleet.db").touch()
started = []

def start():
    for name in sys.argv[2:]:
        started.append(Registry().make(name))
        started[-1].start(fleet, fleet.pods)
    fleet.links = Links()
    fleet.links.add_edge("client", "pod-0", fleet.pods[0].address)

# From a thread that ends: that must not end the helpers.
thread = threading.Thread(target=start)
thread.start()
thread.join()
assert all(fault.effect() for fault in started if fault.name == "cpu_hog")
print("ready", flush=True)
sys.stdin.read()
"""


def descendants(pid: int) -> dict[int, int]:
    """With when they were born."""
    found: dict[int, int] = {}
    new = [pid]
    while new:
        files = [Path(f"/proc/{one}/task/{t}/children") for one in new for t in proc.threads(one)]
        new = [int(one) for file in files if file.exists() for one in file.read_text().split()]
        found |= {one: stat.born for one in new if (stat := proc.stat(one))}
    return found


def test_helpers_die_with_the_tests(tmp_path: Path) -> None:
    faults = ["cpu_hog", "held_write_lock"] + ([] if strace.unavailable() else ["io_error"])
    with (tmp_path / "log").open("w") as log:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(tmp_path), *faults],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=ROOT,
        )
    with parent:
        ready = read_line(parent)
        helpers = descendants(parent.pid)
        parent.kill()
        parent.wait(BOUND)
    assert ready == "ready\n", (tmp_path / "log").read_text()
    pod = [pid for pid in helpers if "listener" in command_of(pid)]
    for pid in pod:
        os.kill(pid, 9)  # it is not a helper: whoever starts pods sees to their end
    assert len(helpers) >= len(pod) + 1 + 4 + 2
    for pid, born in helpers.items():
        gone(pid, born)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("module", ["json", "asyncio", "runpy"])
def test_helpers_ignore_what_lies_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    (tmp_path / f"{module}.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    links = Links()
    assert links.add_edge("client", "pod-0", "127.0.0.1:1")
    links.close()
