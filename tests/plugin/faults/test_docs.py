"""docs/faults.md has every fault of the registry, with its settings as they are; its code runs."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.pytester import LineMatcher

from pytest_fleetq.faults.base import Fault
from pytest_fleetq.faults.network.toxic import ToxicFault
from pytest_fleetq.faults.process.crash_at import FAILPOINTS
from pytest_fleetq.faults.registry import BUILT_IN, Registry
from pytest_fleetq.faults.settings import allowed, defaults_of
from pytest_fleetq.faults.storage.disk import DiskFault
from tests.docs.pages import blocks
from tests.plugin.conftest import ROOT, xdist

PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| `([^`]*)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
COMMON: tuple[type[Fault], ...] = (ToxicFault, DiskFault)
SCHEDULED = "test_toy.py"
REASONS = ("libfaketime", "strace", "Linux", "mount")

Row = tuple[str, str, str]


def sections() -> dict[str, str]:
    """What stands below each heading, of whatever level."""
    parts = re.split(r"^##+ (.+)$", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def shown(text: str) -> list[Row]:
    return [(name, default, must) for name, default, must, what in ROW.findall(text) if what]


def actual(name: str) -> Iterator[Row]:
    kind = Registry().get(name)
    for setting, default in defaults_of(kind).items():
        yield setting, str(default), allowed(kind, setting)


def common_of(name: str) -> set[str]:
    """Settings that are told once for several faults."""
    kind = Registry().get(name)
    return {setting for base in COMMON if issubclass(kind, base) for setting in defaults_of(base)}


def test_every_fault_has_its_place_and_nothing_else_has() -> None:
    about_faults = [title for title in sections() if re.fullmatch(r"[a-z_]+", title)]
    assert about_faults == list(BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_settings_need_and_evidence_are_told(name: str) -> None:
    text = sections()[name]
    own = [row for row in actual(name) if row[0] not in common_of(name)]
    assert shown(text) == own
    assert bool(own) != ("Nothing can be set" in text)
    assert re.search(r"^Needs .+\. Evidence: .+", text, re.MULTILINE | re.DOTALL)
    assert Registry().get(name).needs_links == ("Needs links" in text)
    assert f'inject_failure("{name}"' in text, "an example"


@pytest.mark.parametrize(("title", "one"), [("Toxics", "latency"), ("Storage", "io_error")])
def test_settings_that_several_have_are_told_once(title: str, one: str) -> None:
    assert shown(sections()[title]) == [row for row in actual(one) if row[0] in common_of(one)]


def test_every_failpoint_is_told() -> None:
    text = sections()["crash_at"]
    assert [name for name in FAILPOINTS if f"`{name}`" not in text] == []


@pytest.fixture
def folder(project: pytest.Pytester) -> Path:
    for block in blocks("faults.md"):
        if block.file:
            (project.path / block.file).write_text(block.text)
    return project.path


@pytest.mark.pages
def test_what_the_page_shows_runs(folder: Path, arguments: list[str]) -> None:
    files = sorted(path.name for path in folder.glob("test_*.py") if path.name != SCHEDULED)
    two = ["-n2", "--dist=loadfile"]
    command = [sys.executable, "-m", "pytest", "-rs", *arguments, *xdist(two), *two, *files]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stdout
    skipped = [line for line in ran.stdout.splitlines() if line.startswith("SKIPPED")]
    assert [line for line in skipped if not any(reason in line for reason in REASONS)] == []


@pytest.mark.slow
def test_the_schedule_of_the_page_shrinks_as_it_says(
    project: pytest.Pytester, folder: Path, arguments: list[str]
) -> None:
    project.makeini(f"[pytest]\naddopts = {' '.join(arguments)}")
    shell, text = next(
        (one.text, after.text)
        for one, after in zip(blocks("faults.md"), blocks("faults.md")[1:], strict=False)
        if "fleetq shrink" in one.text
    )
    failing, shrink = shell.replace("# exits 1", "").splitlines()
    pytest_ = [sys.executable, "-m", *shlex.split(failing)]
    assert subprocess.run(pytest_, cwd=folder, capture_output=True).returncode == 1
    [run] = folder.glob("kept/*/cluster-1")
    code = "import sys; from pytest_fleetq.commands import shrink; sys.exit(shrink())"
    words = [str(run.relative_to(folder)), *shlex.split(shrink)[3:]]
    shrunk = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True
    )
    assert shrunk.returncode == 0, shrunk.stderr
    wanted = [re.sub(r"…|0\.\d+", "*", line) for line in text.splitlines()]
    LineMatcher(shrunk.stdout.splitlines()).fnmatch_lines(wanted)
