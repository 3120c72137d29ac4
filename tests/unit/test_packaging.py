import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import apsw
import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import fleetq_server
import pytest_fleetq

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
HEAVY = ["apsw", "asyncio", "click", "grpc", "google.protobuf", "pydantic", "pytest", "structlog"]
EVERY_EXTRA = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]


def test_the_version_has_one_home() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert fleetq_server.__version__ == pytest_fleetq.__version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {fleetq_server.__version__}" in changelog


def test_both_packages_are_typed() -> None:
    for package in (fleetq_server, pytest_fleetq):
        assert (Path(package.__path__[0]) / "py.typed").exists()


def test_public_names_are_sorted_and_there() -> None:
    assert fleetq_server.__all__ == sorted(fleetq_server.__all__)
    assert set(fleetq_server.__all__) <= set(dir(fleetq_server))
    assert all(getattr(fleetq_server, name) is not None for name in fleetq_server.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fleetq_server.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["fleetq_server", "pytest_fleetq"])
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    code = f"import sys, {package}; print([m for m in {HEAVY} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_pytest_finds_the_plugin() -> None:
    assert PROJECT["entry-points"]["pytest11"] == {"fleetq": "pytest_fleetq.plugin"}
    assert (ROOT / "pytest_fleetq" / "plugin.py").exists()


def test_the_library_has_no_wal_reset_bug() -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


def test_the_build_generates_with_the_generator_the_checks_use() -> None:
    requires = PYPROJECT["build-system"]["requires"]
    (generator,) = [line for line in requires if line.startswith("grpcio-tools")]
    assert generator in PROJECT["optional-dependencies"]["dev"]
    assert generator in (ROOT / "ci" / "constraints.txt").read_text().splitlines()


def test_every_dependency_has_a_floor_and_a_pin_that_respects_it() -> None:
    lines = (ROOT / "ci" / "constraints.txt").read_text().splitlines()
    pins = {pin.name: pin.specifier for pin in map(Requirement, lines)}
    for requirement in map(Requirement, [*PROJECT["dependencies"], *EVERY_EXTRA]):
        bounds = {one.operator for one in requirement.specifier}
        assert bounds & {">=", "=="}, f"{requirement} has no floor"
        (pin,) = pins[requirement.name]
        assert requirement.specifier.contains(pin.version), f"{requirement} is pinned to {pin}"


@pytest.mark.parametrize("end", ["lowest-direct", "highest"])
def test_dependency_bounds_resolve_at_both_ends(end: str, tmp_path: Path) -> None:
    wanted = tmp_path / "requirements.in"
    wanted.write_text("\n".join(PROJECT["dependencies"]))
    uv = sysconfig.get_path("scripts") + "/uv"
    command = [uv, "pip", "compile", "--resolution", end, "--python-version", "3.11", str(wanted)]
    found = subprocess.run([*command, "--quiet"], cwd=tmp_path, capture_output=True, text=True)
    if "No solution found" not in found.stderr and found.returncode:
        pytest.skip(f"the package index is out of reach: {found.stderr.strip()[:200]}")
    assert found.returncode == 0, found.stderr
    if end == "lowest-direct":
        resolved = re.findall(r"^([a-z0-9-]+)==(\S+)", found.stdout, re.MULTILINE)
        chosen = {name: Version(version) for name, version in resolved}
        floors = {r.name: _floor(r) for r in map(Requirement, PROJECT["dependencies"])}
        assert {name: chosen[name] for name in floors} == floors


def test_ci_runs_exactly_the_line_of_the_readme() -> None:
    lines = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)
    assert len(lines) == 2
    demo, tests = lines
    assert demo.endswith("fleetq demo")
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == tests
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def _floor(requirement: Requirement) -> Version:
    (floor,) = [one.version for one in requirement.specifier if one.operator == ">="]
    return Version(floor)
