"""`fleetq monitor` beside a real fleet: what it shows, keeps and says at its end."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.commands

COMMAND = [sys.executable, "-m", "fleetq_server.cli.main", "monitor"]
HANDLERS = "integration_handlers"
TESTS = Path(__file__).parents[2]


@pytest.fixture
def fleet_of(cluster: Callable[..., Any]) -> Callable[..., Any]:
    return lambda pods, **more: cluster(pods, handlers=HANDLERS, cwd=TESTS, **more)


def monitor(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *words], cwd=cwd, capture_output=True, text=True, timeout=60)


def looks_of(ended: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def addresses(fleet: Any) -> str:
    return ",".join(pod.address for pod in fleet.pods)


def test_each_look_tells_of_every_pod_and_the_counters(fleet_of, tmp_path: Path) -> None:
    fleet = fleet_of(2)
    steps = fleet.client.submit("work", [{"n": n} for n in range(20)])
    fleet.client.wait(steps, timeout=20)
    words = ("--address", addresses(fleet), "--duration", "0.4", "--interval", "0.2", "--json")
    looks = looks_of(monitor(*words, cwd=tmp_path))
    assert len(looks) >= 2
    for look in looks:
        assert {pod["pid"] for pod in look["pods"]} == {pod.pid for pod in fleet.pods}
        assert sum(pod["leader"] for pod in look["pods"]) == 1
        assert all(pod["rss_mb"] > 10 and pod["threads"] > 1 for pod in look["pods"])
        assert look["queues"]["completed"] == 20


def test_a_fleet_is_found_by_the_file_of_its_store(fleet_of, tmp_path: Path) -> None:
    fleet = fleet_of(1)
    path = fleet.store.removeprefix("sqlite:///")
    words = ("--storage", path, "--duration", "0.1", "--interval", "0.1", "--json")
    look = looks_of(monitor(*words, cwd=tmp_path))[-1]
    assert [pod["pid"] for pod in look["pods"]] == [fleet.pods[0].pid]


def test_a_vanished_pod_is_an_event(fleet_of, inject_failure, tmp_path: Path) -> None:
    fleet = fleet_of(2)
    victim = fleet.leader
    words = [*COMMAND, "--address", addresses(fleet), "--interval", "0.1", "--json"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert len(json.loads(running.stdout.readline())["pods"]) == 2
        inject_failure("kill", victim)
        told = ""
        for line in running.stdout:
            told = " ".join(json.loads(line)["told"])
            if f"is gone, process {victim.pid}" in told:
                break
        running.send_signal(signal.SIGINT)
        running.stdout.read()
        assert running.wait(60) == 0
    assert f"is gone, process {victim.pid}" in told


def test_the_csv_has_rows_for_the_system_the_fleet_and_each_pod(fleet_of, tmp_path: Path) -> None:
    fleet = fleet_of(2)
    words = ("--address", addresses(fleet), "--duration", "0.2", "--interval", "0.2",
             "--alert-cpu", "1000")  # fmt: skip
    ended = monitor(*words, "--output", "seen.csv", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    with (tmp_path / "seen.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["scope"] for row in rows] == ["system", "fleet", "pod", "pod"] * 2
    assert all(float(row["rss_mb"]) > 10 for row in rows if row["scope"] == "pod")
    assert len(ended.stdout.splitlines()) == 2  # no terminal: a line for each look


def test_an_alert_fails_the_run_only_if_asked_to(fleet_of, tmp_path: Path) -> None:
    fleet = fleet_of(1)
    words = ("--address", addresses(fleet), "--duration", "0.3", "--interval", "0.1",
             "--alert-memory", "1")  # fmt: skip
    told = monitor(*words, cwd=tmp_path)
    assert told.returncode == 0
    assert "is above 1 MB" in told.stdout
    assert monitor(*words, "--fail-on-alert", cwd=tmp_path).returncode == 1


def test_without_a_fleet_the_machine_alone_is_watched(tmp_path: Path) -> None:
    words = ("--duration", "0.1", "--interval", "0.1", "--json")
    ended = monitor(*words, cwd=tmp_path)
    (look, *_) = looks_of(ended)
    assert (look["pods"], look["queues"]) == ([], None)
    assert "the machine alone" in ended.stderr


def test_a_store_without_a_fleet_is_an_error_that_names_it(tmp_path: Path) -> None:
    ended = monitor("--storage", "nothing.db", "--duration", "1", cwd=tmp_path)
    assert ended.returncode == 2
    assert "nothing.db" in ended.stderr


def test_a_fleet_that_stops_answering_is_an_event_not_an_end(fleet_of, tmp_path: Path) -> None:
    fleet = fleet_of(1)
    words = [*COMMAND, "--address", addresses(fleet), "--interval", "0.1", "--json"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["queues"] is not None
        fleet.pods[0].stop()
        for line in running.stdout:
            look = json.loads(line)
            if any("does not answer" in text for text in look["told"]):
                break
        assert look["queues"] is None
        running.send_signal(signal.SIGINT)
        running.stdout.read()
        assert running.wait(60) == 0
    fleet.pods[0].start()  # to tell the verdict what happened


def test_plots_say_what_they_need_or_are_drawn(fleet_of, tmp_path: Path) -> None:
    fleet = fleet_of(1)
    words = ("--address", addresses(fleet), "--duration", "0.2", "--interval", "0.1", "--plot")
    ended = monitor(*words, "--output", "seen.csv", cwd=tmp_path)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        assert ended.returncode == 2
        assert "pip install 'pytest-fleetq[plot]'" in ended.stderr
    else:
        assert ended.returncode == 0, ended.stderr
        assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def test_the_script_is_the_same_command() -> None:
    script = TESTS.parent / "scripts/monitor_resources.py"
    words = [sys.executable, str(script), "--help"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    flags = [
        "duration",
        "interval",
        "storage",
        "verbose",
        "plot",
        "output",
        "alert-cpu",
        "alert-memory",
    ]
    assert [flag for flag in flags if f"--{flag}" not in told] == []
    assert os.access(script, os.R_OK)
