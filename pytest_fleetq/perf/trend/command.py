"""`fleetq trend`."""

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytest_fleetq.perf.baselines import load
from pytest_fleetq.perf.errors import PerfError
from pytest_fleetq.perf.gate.outcome import NO_DATA
from pytest_fleetq.perf.trend.branch import commits_of
from pytest_fleetq.perf.trend.page import render
from pytest_fleetq.perf.trend.plot import draw
from pytest_fleetq.perf.trend.series import Series, arrange
from pytest_fleetq.perf.trend.words import HEADINGS, describe, rows

FOLDER: "click.Path[Path]" = click.Path(file_okay=False, path_type=Path)
FILE: "click.Path[Path]" = click.Path(dir_okay=False, path_type=Path)
WIDTH_OF_PIPE = 180


@click.command("trend")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--benchmark", metavar="NAME", help="Only this one.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Only these.")
@click.option("--branch", metavar="REF", help="Only results of its commits, in their order.")
@click.option("--repository", type=FOLDER, default=".", help="Of the branch.  [default: here]")
@click.option("--png", type=FILE, help="File for a picture.")
@click.option("--html", type=FILE, help="File for a page that needs no network.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def trend(
    ctx: click.Context,
    /,
    directory: Path,
    benchmark: str | None,
    metrics: Sequence[str],
    branch: str | None,
    repository: Path,
    png: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show how stored results went over time, and where they changed for good.

    DIRECTORY is what fleetq bench --save wrote, with a folder per benchmark and a file per machine.
    A change shows some five runs later. Exit code 5: there are no results.
    """
    commits = commits_of(branch, repository) if branch else None
    try:
        found = arrange(load(directory), commits)
    except PerfError as error:
        click.echo(f"fleetq: {error}", err=True)
        ctx.exit(NO_DATA)
    wanted = [
        series
        for series in found
        if benchmark in (None, series.benchmark) and (not metrics or series.metric in metrics)
    ]
    if not wanted:
        click.echo(f"fleetq: no results in {directory} are of what was asked for", err=True)
        ctx.exit(NO_DATA)
    if png:
        draw(wanted, png)
    if html:
        html.write_text(render(wanted, f"Trends of {directory}"), encoding="utf-8")
    if as_json:
        documents = [series.document() for series in wanted]
        click.echo(json.dumps({"series": documents}, ensure_ascii=False))
    else:
        _show(wanted)


def _show(all_series: Sequence[Series]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in rows(all_series):
        table.add_row(*map(Text, row))
    console = Console(highlight=False)
    width = None if console.is_terminal else WIDTH_OF_PIPE
    Console(width=width, highlight=False).print(table)
    for series in all_series:
        for change in series.changes:
            click.echo(f"{series.benchmark} {series.metric}: {describe(series, change)}")
