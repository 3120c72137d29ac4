"""The fork server on its own: what it says of a pod that cannot start, and when it ends."""

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_fleetq.faults import proc
from tests.plugin.faults.world import BOUND, ROOT, gone

COMMAND = [sys.executable, "-m", "fleetq_server.cli.forkserver"]

# An owner with a child that holds the fork server's pipe open, as a pod of another cluster may.
OWNER = f"""
import os, subprocess, sys, time
pipe = subprocess.Popen({COMMAND!r} + [str(os.getpid())], stdin=subprocess.PIPE)
if os.fork() == 0:
    os.close(1)
    print(os.getpid(), file=sys.stderr, flush=True)
    time.sleep(60)
    os._exit(0)
pipe.stdin.write(sys.argv[1].encode() + b"\\n")
pipe.stdin.flush()
time.sleep(60)
"""


Process = subprocess.Popen[bytes]


def start(command: list[str], **more: Any) -> Process:
    return subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, cwd=ROOT, **more)


def heard(process: Process) -> Any:
    """What it says next."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(BOUND), "it says nothing"
    return json.loads(process.stdout.readline())


@pytest.fixture
def server() -> Iterator[Process]:
    with start(COMMAND, stdin=subprocess.PIPE) as process:
        assert heard(process)["event"] == "listening"
        yield process


def ask(server: Process, folder: Path, *args: str, **env: str) -> list[Any]:
    """→ what it says of one pod, up to its readiness or its end"""
    assert server.stdin is not None
    server.stdin.write(request(folder, *args, **env).encode() + b"\n")
    said = [heard(server)]
    while said[-1]["event"] not in {"ready", "exit"}:
        said.append(heard(server))
    return said


def request(folder: Path, *args: str, **env: str) -> str:
    args = ("--store", f"sqlite:///{folder}/fleet.db", "--listen", "127.0.0.1:0", *args)
    log = str(folder / "log")
    return json.dumps({"id": "one", "args": args, "env": env, "cwd": str(folder), "log": log})


def test_a_pod_with_wrong_settings_says_so_in_its_log_and_the_next_one_starts(
    server, tmp_path: Path
) -> None:
    forked, ended = ask(server, tmp_path, "--max-parallelism", "many")
    assert (forked["event"], ended) == ("forked", {"id": "one", "event": "exit", "status": 1})
    assert "max_parallelism" in (tmp_path / "log").read_text()
    assert ask(server, tmp_path)[-1]["event"] == "ready"


def test_each_pod_has_the_settings_of_its_own_environment_and_folder(
    server, tmp_path: Path
) -> None:
    ask(server, tmp_path, FLEET_Q_MAX_PARALLELISM="many")
    assert "environment FLEET_Q_MAX_PARALLELISM" in (tmp_path / "log").read_text()
    (tmp_path / "fleetq.toml").write_text('max_parallelism = "few"')
    ask(server, tmp_path)
    assert "file fleetq.toml" in (tmp_path / "log").read_text()


def test_a_pods_rules_are_told_with_its_pid_and_before_it_is_ready(server, tmp_path: Path) -> None:
    forked, ready = ask(server, tmp_path, "--max-crashes", "7", FLEET_Q_CLAIM_INTERVAL_SECONDS="2")
    assert (forked["event"], ready["event"]) == ("forked", "ready")
    assert forked["pid"] == ready["pid"]
    assert forked["settings"] == {
        "claim_interval_seconds": 2.0,
        "dead_pod_threshold_seconds": 5.0,
        "max_crashes": 7,
    }


def test_an_argument_that_nobody_knows_is_told_in_the_log(server, tmp_path: Path) -> None:
    assert ask(server, tmp_path, "--no-such-thing")[-1]["status"] == 1
    assert "--no-such-thing" in (tmp_path / "log").read_text()


def test_its_pods_end_with_its_owner_though_somebody_holds_its_input_open(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, request(tmp_path)]
    with start(command, stderr=subprocess.PIPE) as owner:
        assert owner.stderr is not None
        holder = int(owner.stderr.readline())
        said = [heard(owner) for _ in range(3)]
        pids = {said[0]["pid"], said[1]["pid"]}
        assert [one["event"] for one in said] == ["listening", "forked", "ready"]
        born = {pid: stat.born for pid in pids if (stat := proc.stat(pid))}
        assert len(born) == 2
        owner.kill()
        try:
            for pid, since in born.items():
                gone(pid, since)
        finally:
            os.kill(holder, 9)
