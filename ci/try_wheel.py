"""Builds sdist and wheel; uses the wheel as a stranger would, from an empty directory."""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "ci" / "constraints.txt"
MUST_CONTAIN = (
    "fleetq_server/py.typed",
    "fleetq_server/pb/step_pb2.py",
    "fleetq_server/pb/step_service_pb2_grpc.py",
    "fleetq_server/store/sqlite/sqlite.sql",
    "fleetq_server/store/migrations/sqlite/0001_initial.sql",
    "pytest_fleetq/py.typed",
    "pytest_fleetq/report/page/page.html",
    "pytest_fleetq/report/page/timeline.js",
    "pytest_fleetq/suites/pytest.integration.ini",
    "pytest_fleetq/suites/test_integration_suite.py",
    "pytest_fleetq/suites/test_performance_load.py",
)
ONLY_HOLDS = ("fleetq_server/", "pytest_fleetq/", "pytest_fleetq-")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="fleetq-wheel-") as scratch:
        wheel = _build(Path(scratch) / "dist")
        _look_inside(wheel)
        _use(wheel, Path(scratch))


def _build(out: Path) -> Path:
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT))
    (wheel,) = out.glob("*.whl")
    return wheel


def _look_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in MUST_CONTAIN if name not in names]
    strangers = [name for name in names if not name.startswith(ONLY_HOLDS)]
    if missing or strangers:
        print(f"{wheel.name}: missing {missing}, not expected {strangers}")
        raise subprocess.CalledProcessError(1, "looking inside the wheel")


def _use(wheel: Path, scratch: Path) -> None:
    home, empty = scratch / "venv", scratch / "empty"
    empty.mkdir()
    venv.create(home, with_pip=True)
    python, fleetq = str(home / "bin" / "python"), str(home / "bin" / "fleetq")
    pip = (python, "-m", "pip")
    _run(*pip, "install", "--quiet", "--upgrade", "pip", cwd=empty)
    _run(*pip, "install", "--quiet", "-c", str(CONSTRAINTS), str(wheel), cwd=empty)
    _run(*pip, "check", cwd=empty)
    _run(fleetq, "--version", cwd=empty)
    sample = empty / "sample"
    sample.mkdir()
    for number in range(200):
        (sample / f"{number}.txt").write_text(f"sample {number}\n")
    _run(fleetq, "demo", str(sample), "--pods", "2", "--json", cwd=empty)
    _run(fleetq, "test", "--suite", "integration", "--", "-k", "step_lifecycle", cwd=empty)


def _run(*command: str, cwd: Path = ROOT) -> None:
    print("$", " ".join(command), flush=True)
    # What the caller's shell or virtual environment exports must not help the wheel.
    leaked = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environ = {k: v for k, v in os.environ.items() if k not in leaked}
    quiet = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True)
    if quiet.returncode:
        print(quiet.stdout, quiet.stderr, sep="\n", flush=True)
        quiet.check_returncode()


if __name__ == "__main__":
    main()
