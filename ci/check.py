"""Every check of this project, in one command.

python ci/check.py                 all of them
python ci/check.py lint types      some of them, by name
python ci/check.py tests -- -k dlq what follows -- goes to pytest

`pages` are the tests that run every example of the docs, `commands` those that run whole commands
(fleetq demo, bench, gate, pytest itself) or install environments, `tests` all others but the slow
ones: what plain `pytest` runs.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

# Some environments set it; hundreds of processes would then compile the same modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sysconfig.get_path("scripts"))


def tool(name: str, *args: str) -> None:
    subprocess.run([str(BIN / name), *args], cwd=ROOT, check=True)


def python(*args: str) -> None:
    subprocess.run([sys.executable, *args], cwd=ROOT, check=True)


def lint() -> None:
    tool("ruff", "check", "--quiet", ".")


def form() -> None:
    tool("ruff", "format", "--quiet", "--diff", ".")


def types() -> None:
    tool("mypy")


def imports() -> None:
    tool("lint-imports", "--no-logo")


def protos() -> None:
    tool("buf", "lint")
    tool("buf", "format", "--diff", "--exit-code")
    # At each release: buf build --exclude-source-info -o ci/released.binpb
    tool("buf", "breaking", "--against", "ci/released.binpb")


def generated() -> None:
    python("ci/gen_protos.py", "--check")


def wheel() -> None:
    python("ci/try_wheel.py")


CHECKS: dict[str, Callable[[], None]] = {
    "lint": lint,
    "format": form,
    "types": types,
    "imports": imports,
    "protos": protos,
    "generated": generated,
    "wheel": wheel,
}
TESTS = {
    "pages": ["-m", "pages and not slow"],
    "commands": ["-m", "commands and not slow"],
    "tests": [],
}
NAMES = [*CHECKS, *TESTS]


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the checks of this project.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(NAMES)}")
    arguments, pytest_arguments = _split(sys.argv[1:])
    names = parser.parse_args(arguments).names or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"no check {unknown[0]!r}; there are {', '.join(NAMES)}")
    failed = [name for name in CHECKS if name in names and not _passes(name)]
    print(f"checks failed: {', '.join(failed) or 'none'}", flush=True)
    # Last, so that pytest's own closing line ends the output.
    for name, chosen in TESTS.items():
        if name in names and _pytest(name, [*chosen, *pytest_arguments]) != 0:
            failed.append(name)
    return 1 if failed else 0


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _passes(name: str) -> bool:
    print(f"--- {name}", flush=True)
    started = time.monotonic()
    try:
        CHECKS[name]()
    except subprocess.CalledProcessError as error:
        print(f"--- {name} FAILED: {error}", flush=True)
        return False
    print(f"--- {name} passed in {time.monotonic() - started:.1f} s", flush=True)
    return True


def _pytest(name: str, arguments: list[str]) -> int:
    """Four at a time, also on two cores: most tests wait for processes of their own. Neighbours
    stay together, for they share clusters, until a worker has nothing left."""
    print(f"--- {name}", flush=True)
    four = ["-n", "4", "--dist=worksteal"]
    command = [sys.executable, "-m", "pytest", *four, "--durations=10", *arguments]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
