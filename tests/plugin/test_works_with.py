"""One suite of somebody else, with all that is installed here, and with the oldest that we support
of everything."""

import hashlib
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.plugin.conftest import ROOT, Run

pytestmark = pytest.mark.commands

SUITE = """
import asyncio
import pytest
import pytest_fleetq

pytestmark = pytest.mark.integration

def work(fleet, number=1):
    steps = fleet.client.submit("resize", [{"n": n} for n in range(number)])
    return fleet.client.wait(steps, timeout=20).completed == number

def test_work_survives_the_leader(cluster, inject_failure):
    fleet = cluster(n_pods=3, handlers="my_handlers")
    steps = fleet.client.submit("resize", [{"n": n} for n in range(200)])
    inject_failure("kill", fleet.leader)
    assert fleet.client.wait(steps, timeout=20).completed == 200

@pytest.mark.asyncio
async def test_with_asyncio(cluster):
    assert await asyncio.to_thread(work, cluster(1, handlers="my_handlers"))

@pytest.mark.anyio
async def test_with_anyio(cluster):
    assert await asyncio.to_thread(work, cluster(1, handlers="my_handlers"))

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.timeout(60)
@pytest.mark.requires_resources(cpus=1, memory="64MB")
def test_with_a_timeout_and_tokens(cluster):
    assert work(cluster(1, handlers="my_handlers"))

@pytest.mark.fleetq(scope="run")
@pytest.mark.parametrize("n", range(2))
def test_in_common(cluster, n):
    assert work(cluster(1, handlers="my_handlers"))

def test_outside_of_fixtures():
    with pytest_fleetq.Cluster(1, handlers="my_handlers") as fleet:
        assert work(fleet)

def test_that_fails(cluster, inject_failure):
    fleet = cluster(1, command=["sh", "-c", "echo a word; exec sleep 1000"], ready="log:word")
    with inject_failure("pause", fleet.pods[0]):
        assert False, "as it is"
"""

STRICT = ("-W", "error", "--strict-markers", "--strict-config")
ALL_TOGETHER = ("-n", "2", "--junitxml=out.xml", "--fleetq-seed=7", *STRICT)


def is_as_it_should_be(result: pytest.RunResult, folder: Path) -> None:
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines(
        ["*cluster pod-0 log*", "a word", "*cluster faults*", "*pause effect*"]
    )
    junit = (folder / "out.xml").read_text()
    assert '<property name="fleetq_seed" value="7"' in junit
    assert '<property name="fleetq_verdict" value="pass"' in junit


def test_it_works_with_all_that_is_installed(run_installed: Run, project: pytest.Pytester) -> None:
    result = run_installed(SUITE, *ALL_TOGETHER)
    for plugin in ("xdist", "asyncio", "anyio", "timeout"):
        assert f"{plugin}-" in result.stdout.str()
    is_as_it_should_be(result, project.path)


@pytest.fixture
def oldest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A Python with the lowest version we allow of everything; kept for the next run."""
    about: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    partners = {"anyio", "pytest-asyncio", "pytest-xdist"}
    extra = [one for one in about["optional-dependencies"]["test"] if _name(one) in partners]
    wanted = "\n".join([*about["dependencies"], *extra])
    key = hashlib.sha256(f"{sys.version} {sys.prefix} {wanted}".encode()).hexdigest()[:16]
    cache: pytest.Cache | None = getattr(request.config, "cache", None)
    folder = (cache.mkdir("fleetq-oldest") if cache else tmp_path) / key
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        uv = f"{sysconfig.get_path('scripts')}/uv"
        (tmp_path / "wanted").write_text(wanted)
        lowest = ["--resolution", "lowest-direct", "-r", str(tmp_path / "wanted")]
        _must([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
        _must([uv, "pip", "install", "--quiet", "--python", str(python), *lowest])
        (folder / "complete").touch()
    return python


def _name(requirement: str) -> str:
    return Requirement(requirement).name


def _must(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110)
    if ran.returncode and "No solution found" not in ran.stderr:
        pytest.skip(f"the package index is out of reach: {ran.stderr.strip()[:200]}")
    assert ran.returncode == 0, ran.stderr


def test_it_works_with_the_oldest_of_everything(
    project: pytest.Pytester, oldest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    project.makepyfile(test_it=SUITE)
    quiet = ["-o", "asyncio_default_fixture_loop_scope=function"]
    command = [str(oldest), "-m", "pytest", "-p", "pytest_fleetq.plugin", *quiet, *ALL_TOGETHER]
    result = project.run(*command, timeout=90)
    result.stdout.fnmatch_lines(["*pytest-8.2.*"])
    is_as_it_should_be(result, project.path)


def test_it_can_be_switched_off(run_installed: Run) -> None:
    source = "def test_it(pytestconfig): assert not pytestconfig.pluginmanager.hasplugin('fleetq')"
    result = run_installed(source, "-p", "no:fleetq", "-p", "no:pytest_fleetq.plugin")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*fleetq: seed*")
