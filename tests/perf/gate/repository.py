"""A git repository with a small benchmark in it, and the gate run on it as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

BENCH = """
import json, random, time
import work

used = time.process_time()
for _ in range(work.ROUNDS):
    sum(range(1000))
used = time.process_time() - used
print(json.dumps({
    "timestamp": "2026-01-01T00:00:00+00:00",
    "benchmarks": [{
        "benchmark_name": "toy",
        "metrics": {"cpu_seconds_per_step": used, **work.METRICS},
        "counts": {"calls_per_step": work.CALLS},
        "workload": {"steps": work.STEPS},
        "judging": {"cpu_seconds_per_step":
            {"better": "lower", "primary": work.CPU_GATES, "min_effect": 0.3}},
    }],
}))
"""
WORK = {"ROUNDS": "400", "CALLS": "2", "STEPS": "1", "METRICS": "{}", "CPU_GATES": "False"}

# Nothing of the environment, so that a run takes 20 ms.
PYTHON = (sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, ''); import bench")


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def verdicts(self) -> dict[str, str]:
        return {finding["metric"]: finding["verdict"] for finding in self.document["findings"]}


class Repository:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.email", "someone@example.org")
        self.git("config", "user.name", "Someone")
        (directory / "bench.py").write_text(BENCH)
        self.commit()

    def commit(self, **work: str) -> str:
        """The work that a commit does, by the variables of WORK that differ. → its name"""
        lines = [f"{name} = {value}" for name, value in {**WORK, **work}.items()]
        (self.directory / "work.py").write_text("\n".join(lines) + "\n")
        return self.commit_all()

    def commit_all(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def git(self, *words: str) -> str:
        command = ["git", "-C", str(self.directory), *words]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        return ended.stdout.strip()

    @property
    def worktrees(self) -> list[str]:
        return self.git("worktree", "list").splitlines()


def command_of(*words: str) -> list[str]:
    return [sys.executable, "-m", "fleetq_server.cli.main", "gate", *words]


def gate(
    repository: Repository, *options: str, command: Sequence[str] = PYTHON, **env: str
) -> Ended:
    """From its first commit to the last, unless options say otherwise."""
    first = repository.git("rev-list", "--max-parents=0", "HEAD")
    words = ["--directory", str(repository.directory), "--install", "", "--seed", "1", "--json"]
    if "--base" not in options:
        words += ["--base", first]
    ended = subprocess.run(
        command_of(*words, *options, "--", *command),
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)
