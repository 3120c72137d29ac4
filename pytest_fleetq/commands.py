"""Commands that this package adds to `fleetq`."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from pytest_fleetq.faults.errors import NotReproduced
from pytest_fleetq.faults.schedule import Schedule
from pytest_fleetq.faults.shrink import shrink as reduce
from pytest_fleetq.report.bundle import HISTORY, Bundle, NoBundle
from pytest_fleetq.report.html import write_page
from pytest_fleetq.report.summary import in_words, summarise

SCHEDULE = "schedule.json"
PATH: "click.Path[Path]" = click.Path(path_type=Path)


@click.command("report")
@click.argument("run", type=PATH)
@click.option("--output", type=PATH, help="File for the page; report.html in RUN unless given.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def report(run: Path, output: Path | None, as_json: bool) -> None:
    """Put a kept run on one page: verdicts, timeline, budgets, logs, how to run it again.

    RUN is the folder of a cluster that --fleetq-keep left. The page is a file of its own, which
    needs no network.
    """
    try:
        bundle = Bundle.at(run)
        page = write_page(bundle, output)
        told = {**summarise(bundle), "page": str(page)}
    except NoBundle as error:
        raise click.BadParameter(str(error), param_hint="RUN") from None
    click.echo(json.dumps(told, indent=1) if as_json else in_words(told))


@click.command("shrink")
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--times", default=3, show_default=True, help="Runs of each candidate.")
@click.option("--need", default=1, show_default=True, help="Failures among them that count.")
@click.option(
    "--rootdir", default=".", type=click.Path(path_type=Path), help="Where to run pytest."
)
@click.option("--output", type=PATH, help="File for the smallest schedule.")
def shrink(run: Path, times: int, need: int, rootdir: Path, output: Path | None) -> None:
    """Reduce the fault schedule of a failed test to the smallest that still fails.

    RUN is the folder of a cluster that --fleetq-keep left. Its test runs again and again, so this
    takes a while; what FLEETQ_SCHEDULE=FILE pytest does with the result is printed at the end.
    """
    with (run / HISTORY).open(encoding="utf-8") as lines:
        told = json.loads(lines.readline())["run"]
    schedule = Schedule.from_json((run / SCHEDULE).read_text())
    attempt = _Attempt(told["test"], told["seed"], rootdir)
    try:
        result = reduce(schedule, attempt, times=times, need=need, progress=_say)
    except NotReproduced as error:
        raise click.ClickException(str(error)) from None
    target = output or run / "smallest-schedule.json"
    target.write_text(result.schedule.to_json())
    click.echo(str(result))
    click.echo(f"FLEETQ_SCHEDULE={target} pytest {told['test']} --fleetq-seed {told['seed']}")


class _Attempt:
    """Runs the test under a schedule. → whether it failed"""

    def __init__(self, test: str, seed: int, rootdir: Path) -> None:
        self._command = [sys.executable, "-m", "pytest", "-q", test, "--fleetq-seed", str(seed)]
        self._rootdir = rootdir

    def __call__(self, schedule: Schedule) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(schedule.to_json())
            file.flush()
            env = {**os.environ, "FLEETQ_SCHEDULE": file.name}
            ended = subprocess.run(self._command, cwd=self._rootdir, env=env, capture_output=True)
        if ended.returncode not in (0, 1):
            raise click.ClickException(f"pytest could not run: {ended.stdout.decode()[-2000:]}")
        return ended.returncode == 1


def _say(text: str) -> None:
    click.echo(text, err=True)
