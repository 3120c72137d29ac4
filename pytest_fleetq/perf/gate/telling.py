"""An outcome on the terminal, or as JSON, and for GitHub what it wants besides."""

import json

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pytest_fleetq.perf.gate.github import add_to_summary, annotations
from pytest_fleetq.perf.gate.outcome import Outcome
from pytest_fleetq.perf.gate.words import HEADINGS, headline, rows

WIDTH_OF_PIPE = 160


def tell(outcome: Outcome, *, as_json: bool) -> None:
    add_to_summary(outcome)
    if as_json:
        click.echo(json.dumps(outcome.document(), ensure_ascii=False))
    else:
        _show(outcome)
    for line in annotations(outcome):
        click.echo(line, err=True)


def _show(outcome: Outcome) -> None:
    if outcome.findings:
        _print_table(outcome)
    for note in outcome.notes:
        click.echo(note)
    click.echo(headline(outcome), err=bool(outcome.reason))


def _print_table(outcome: Outcome) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in rows(outcome.findings):
        table.add_row(*map(Text, row))
    console = Console(highlight=False)
    width = None if console.is_terminal else WIDTH_OF_PIPE
    Console(width=width, highlight=False).print(table)
