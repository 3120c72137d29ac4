"""Base and head: two commits, each checked out and installed on its own."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pytest_fleetq.perf.errors import NoData
from pytest_fleetq.perf.gate.checkout import checked_out
from pytest_fleetq.perf.gate.process import Processes

INSTALL_SECONDS = 1800.0
PROJECT_FILES = ("pyproject.toml", "setup.py")


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    commit: str
    directory: Path  # the checkout: where the command runs
    env: Mapping[str, str]


class Preparer:
    """
    Args:
        install: Shell command, run in each checkout with its environment active. None: the project
            is installed with uv or pip; empty: nothing is, and there is no environment.
        root: Where checkouts and environments are made.
    """

    def __init__(
        self, processes: Processes, repository: Path, install: str | None, root: Path
    ) -> None:
        self._processes = processes
        self._repository = repository
        self._install = install
        self._root = root

    @contextmanager
    def sides(self, commits: Mapping[str, str]) -> Iterator[list[Side]]:
        """
        Args:
            commits: By the side's name. Names should be of equal length: the length of a path is
                enough to shift a process's memory, and with it how fast it is.

        Raises:
            NoData: a commit could not be installed.
        """
        with ExitStack() as stack:
            yield [self._prepare(name, commit, stack) for name, commit in commits.items()]

    def _prepare(self, name: str, commit: str, stack: ExitStack) -> Side:
        checkout = checked_out(self._repository, commit, self._root / name)
        directory = stack.enter_context(checkout)
        if self._install == "":
            return Side(name, commit, directory, {})
        home = self._root / f"{name}-env"
        path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
        side = Side(name, commit, directory, {"VIRTUAL_ENV": str(home), "PATH": path})
        for command in _installers(directory, self._install, home):
            self._run(side, command)
        return side

    def _run(self, side: Side, command: Sequence[str]) -> None:
        ended = self._processes.execute(
            command, cwd=side.directory, env=side.env, timeout=INSTALL_SECONDS
        )
        if ended.status != 0:
            what = f"{side.name} ({side.commit[:12]}): {' '.join(command)}"
            raise NoData(ended.complaint(what))


def _installers(directory: Path, install: str | None, home: Path) -> Iterator[Sequence[str]]:
    """Commands that make an environment, and install the checkout there."""
    python = str(home / "bin" / "python")
    uv = shutil.which("uv") if install is None else None
    if uv:
        yield [uv, "venv", "--quiet", "--python", sys.executable, str(home)]
    else:
        yield [sys.executable, "-m", "venv", str(home)]
    if install is not None:
        yield ["/bin/sh", "-c", install]
    elif any((directory / file).exists() for file in PROJECT_FILES):
        pip = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
        yield [*pip, "--quiet", "."]
