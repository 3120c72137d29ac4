"""Reports for people."""

from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from fleetq_server.bench.report import Line, Report

WIDTH_OF_PIPE = 500  # a pipe has no edge


def show(report: "Report") -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (report.bench, "measured", "raw limit", "of raw", "must reach", ""):
        table.add_column(heading, overflow="fold")
    for line in report.lines:
        table.add_row(*map(Text, row(line)))
    console = Console(highlight=False)
    width = None if console.is_terminal else WIDTH_OF_PIPE
    Console(width=width, highlight=False).print(table)
    for problem in report.problems:
        click.echo(f"PROBLEM: {problem}")
    about = ", ".join(f"{name} {value}" for name, value in report.conditions.items())
    click.echo(f"({about})".replace("_", " "))
    for picture in report.pictures:
        click.echo(f"flame graph: {picture}")
    click.echo()


def row(line: "Line") -> tuple[str, ...]:
    return (
        line.what,
        _figure(line.value, line.unit),
        "" if line.raw_value is None else _figure(line.raw_value, line.unit),
        "" if line.ratio is None else f"{line.ratio:.2f}",
        line.target.text(line.unit) if line.target else "",
        {True: "reached", False: "MISSED", None: ""}[line.reached],
    )


def _figure(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()
