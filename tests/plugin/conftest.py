"""Projects of somebody else, in folders of their own, whose tests run in their own process."""

import os
import uuid
from collections.abc import Callable, Iterator
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
    """An empty project but for its handlers, as a user with the plugin installed has it."""
    for name in [name for name in os.environ if name.startswith(("FLEET", "PYTEST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(my_handlers=HANDLERS)
    return pytester


@pytest.fixture
def arguments() -> list[str]:
    """What pytest needs to have the plugin: nothing where it is installed."""
    installed = any(point.name == "fleetq" for point in entry_points(group="pytest11"))
    # pytest-asyncio warns of its own default, and some of these runs make errors of warnings.
    # Hypothesis takes its time to say goodbye.
    quiet = ["-o", "asyncio_default_fixture_loop_scope=function", "-p", "no:hypothesispytest"]
    return quiet if installed else [*quiet, "-p", "pytest_fleetq.plugin"]


@pytest.fixture
def run(project: pytest.Pytester, arguments: list[str]) -> Run:
    """Runs pytest there over this source."""

    def go(source: str = "", *more: str, timeout: float = LIMIT) -> pytest.RunResult:
        if source:
            project.makepyfile(test_it=source)
        return project.runpytest_subprocess(*arguments, *more, timeout=timeout)

    return go


class Traces:
    """What the processes of one run leave: found by an environment variable they all inherit."""

    def __init__(self, temporary: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = temporary

    def processes(self) -> list[psutil.Process]:
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def folders(self) -> list[str]:
        return [str(run) for run in self.temporary.glob("fleetq-*/runs/*")]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            ours = process.environ().get(MARK) == self.mark
            return ours and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError):
            return False


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
