"""`fleetq test`: runs the suites with pytest, and tells in a file how it went."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click

from pytest_fleetq.suites.found import FILES, Suites, find_suites
from pytest_fleetq.suites.telling import DETAILS, FILE

REPORT = Path("integration_test_report.json")
WRITABLE: "click.Path[Path]" = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("test")
@click.option("--suite", type=click.Choice(list(FILES)), default="all", show_default=True)
@click.option("--verbose", "-v", is_flag=True, help="Name each test, and show its log as it runs.")
@click.option("--report", is_flag=True, help="Put output and tracebacks into the report as well.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds for each test; 300 unless given.",
)
@click.option("--output", type=WRITABLE, default=REPORT, show_default=True, help="The report.")
@click.option("--json", "as_json", is_flag=True, help="Print the report to standard output too.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(
    suite: str,
    verbose: bool,
    report: bool,
    timeout: float | None,
    output: Path,
    as_json: bool,
    pytest_arguments: tuple[str, ...],
) -> None:
    """Run the suites of FLEET-Q: real pods, on this machine.

    In a checkout these are the suites under tests, elsewhere those that were installed. How each
    test went is written to integration_test_report.json, and the exit code is that of pytest: 0
    if all passed, 1 if some did not, 5 if none ran. What follows -- goes to pytest: for instance
    -- -k recovery.
    """
    suites = find_suites(Path.cwd())
    words = _command(suites, suite, verbose, timeout, pytest_arguments)
    output.unlink(missing_ok=True)  # that of an earlier run would tell of this one
    env = {**os.environ, FILE: str(output.absolute()), **({DETAILS: "1"} if report else {})}
    code = _run(words, suites.root, env, quiet=as_json)
    _tell(output, code, as_json=as_json)
    sys.exit(code)


def _command(
    suites: Suites, suite: str, verbose: bool, timeout: float | None, more: tuple[str, ...]
) -> list[str]:
    words = [sys.executable, "-m", "pytest", "-c", str(suites.ini), f"--rootdir={suites.root}"]
    words += ["-p", "pytest_fleetq.suites.telling", *map(str, suites.files(suite))]
    if verbose:
        words += ["-v", "-o", "log_cli_level=INFO"]
    if timeout is not None:
        words.append(f"--timeout={timeout:g}")
    return [*words, *more]


def _run(words: list[str], root: Path, env: dict[str, str], *, quiet: bool) -> int:
    out = sys.stderr if quiet else None
    # Ctrl-C reaches pytest as well, which cleans up; to ignore it here would be inherited.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with subprocess.Popen(words, cwd=root, env=env, stdout=out) as pytest:
            return pytest.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(output: Path, code: int, *, as_json: bool) -> None:
    if not output.exists():
        raise click.ClickException(f"pytest ended with {code} before it could write {output}")
    if as_json:
        click.echo(json.dumps(json.loads(output.read_text())))
    else:
        click.echo(f"report: {output}")
