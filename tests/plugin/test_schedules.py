"""Faults by schedule: seeded, recorded, replayed, shrunk."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import ROOT, Run

pytestmark = pytest.mark.commands

NEMESIS = """
def test_it(cluster, inject_failure):
    fleet = cluster(3, handlers="my_handlers")
    nemesis = inject_failure.schedule(faults=["pause", "kill"], duration=1.5, rate=3)
    steps = []
    while nemesis.running:
        steps += fleet.client.submit("resize", [{"n": 1}] * 10, timeout=30)
        for pod in fleet.pods:
            pod.start()
    nemesis.wait(0)
    assert fleet.client.wait(steps, timeout=30).completed == len(steps)
"""

FRAGILE = """
def test_it(cluster, inject_failure):
    fleet = cluster(2, command=["sleep", "1000"])
    before = [pod.pid for pod in fleet.pods]
    inject_failure.schedule(faults=["pause", "stop"], duration=1, rate=5).wait(10)
    assert [pod.pid for pod in fleet.pods] == before, "one was stopped, and started again"
"""


def plans(folder: Path) -> list[Any]:
    return [json.loads(path.read_text()) for path in folder.glob("*/*/schedule.json")]


def test_the_same_seed_plans_the_same_faults(run: Run, tmp_path: Path) -> None:
    quick = FRAGILE.replace("duration=1, rate=5", "duration=0.2, rate=25")
    for folder in ("one", "two"):
        run(quick, "--fleetq-keep", "--fleetq-seed=5", f"--fleetq-dir={tmp_path / folder}")
    [one], [two] = plans(tmp_path / "one"), plans(tmp_path / "two")
    assert one == two
    assert one["injections"]


def test_work_survives_a_schedule_of_faults(run: Run) -> None:
    run(NEMESIS, "--fleetq-seed=3").assert_outcomes(passed=1)


@pytest.mark.slow
def test_a_schedule_shrinks_to_the_fault_that_matters(
    run: Run, project: pytest.Pytester, arguments: list[str], tmp_path: Path
) -> None:
    project.makeini(f"[pytest]\naddopts = {' '.join(arguments)}")
    run(FRAGILE, "--fleetq-keep", "--fleetq-seed=5", f"--fleetq-dir={tmp_path}")
    [folder] = tmp_path.glob("*/cluster-*")
    code = "from pytest_fleetq.commands import shrink; shrink()"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    shrunk = subprocess.run(
        [sys.executable, "-c", code, str(folder), "--times=1"],
        cwd=project.path, env=env, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert shrunk.returncode == 0, shrunk.stderr
    smallest = json.loads((folder / "smallest-schedule.json").read_text())
    assert [one["fault"] for one in smallest["injections"]] == ["stop"]
