"""Projects of somebody else, in folders of their own, whose tests run in their own process."""

import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 60.0
MARK = "FLEETQ_TEST_MARK"

HANDLERS = """
import asyncio
from fleetq_server import handler

@handler("resize")
async def resize(ctx):
    await asyncio.sleep(ctx.json().get("seconds", 0))
    return ctx.json()["n"]
"""

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project but for its handlers."""
    for name in [name for name in os.environ if name.startswith(("FLEET", "PYTEST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # What else is installed here takes longer to load than most of these tests run.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    # Compiled once for all of them.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    pytester.makepyfile(my_handlers=HANDLERS)
    return pytester


@pytest.fixture
def arguments() -> list[str]:
    """What pytest needs to have the plugin, and nothing else that is installed."""
    return ["-p", "pytest_fleetq.plugin", "-p", "timeout"]


@pytest.fixture
def run(project: pytest.Pytester, arguments: list[str]) -> Run:
    """Runs pytest there over this source."""

    def go(source: str = "", *more: str, timeout: float = LIMIT) -> pytest.RunResult:
        if source:
            project.makepyfile(test_it=source)
        return project.runpytest_subprocess(*arguments, *xdist(more), *more, timeout=timeout)

    return go


@pytest.fixture
def run_installed(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest as a user has it: with every plugin that is installed, and nothing configured."""
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")

    def go(source: str, *more: str, timeout: float = LIMIT) -> pytest.RunResult:
        project.makepyfile(test_it=source)
        return project.runpytest_subprocess(*as_installed(), *more, timeout=timeout)

    return go


def as_installed() -> list[str]:
    """What pytest needs where everything that is installed is loaded."""
    installed = any(point.name == "fleetq" for point in entry_points(group="pytest11"))
    # pytest-asyncio warns of its own default, and some of these runs make errors of warnings.
    quiet = ["-o", "asyncio_default_fixture_loop_scope=function"]
    return quiet if installed else [*quiet, "-p", "pytest_fleetq.plugin"]


def xdist(arguments: Sequence[str]) -> list[str]:
    """What loads it, if these arguments are for it."""
    return ["-p", "xdist"] if any(word.startswith(("-n", "--tx")) for word in arguments) else []


class Traces:
    """What the processes of one run leave: found by a number in an environment variable that they
    all inherit, or among their arguments if they cleared it."""

    def __init__(self, temporary: Path) -> None:
        self.mark = str(uuid.uuid4().int % 10**9 + 10**9)
        self.temporary = temporary

    def processes(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def folders(self) -> list[str]:
        return [str(run) for run in self.temporary.glob("fleetq-*/runs/*")]

    def files(self) -> list[str]:
        """All that is left, but for pytest's own and the empty files that stand for locks."""
        found = []
        for folder, _, names in os.walk(self.temporary):  # what vanishes meanwhile is no matter
            for path in (Path(folder, name) for name in names if "pytest-of-" not in folder):
                with suppress(FileNotFoundError):
                    if path.is_file() and path.stat().st_size:
                        found.append(str(path))
        return found

    def shared_memory(self) -> set[str]:
        """That they have now: POSIX's and SQLite's by its path, System V's by its id."""
        found = set()
        for process in self.processes():
            with suppress(OSError):
                maps = Path(f"/proc/{process.pid}/maps").read_text().splitlines()
                found |= {name for line in maps if (name := _shared(line.split(maxsplit=5)))}
        return found

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return self.mark in process.cmdline() or process.environ().get(MARK) == self.mark
        except (psutil.Error, OSError):
            return False


def _shared(fields: Sequence[str]) -> str:
    path = fields[5].removesuffix(" (deleted)") if len(fields) == 6 else ""
    if path.startswith("/SYSV"):
        return fields[4]
    return path if path.startswith("/dev/shm/") or path.endswith("-shm") else ""


def still_shared(names: Iterable[str]) -> list[str]:
    """Those of `Traces.shared_memory` that are still there, though nobody may have them."""
    system_v = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    ids = {line.split()[1] for line in system_v}
    return [name for name in names if name in ids or (name[0] == "/" and Path(name).exists())]


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    found = Traces(temporary)
    monkeypatch.setenv(MARK, found.mark)
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield found
    for process in found.processes():
        process.kill()
