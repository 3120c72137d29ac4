"""`fleetq config`: what is in force, and where it came from."""

import json
import sys
from typing import TypedDict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleetq_server.config import Settings, load_settings
from fleetq_server.redaction import shown

WIDTH_OF_PIPE = 500
WIDE = 130  # columns: with less, descriptions would squeeze the values


class Row(TypedDict):
    setting: str
    value: object
    source: str
    description: str


@click.command("config")
@click.option("--config", "file", metavar="FILE", help="Settings file (default: fleetq.toml).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def config(file: str | None, as_json: bool) -> None:
    """Show every setting, its value, and where the value came from.

    Flags come before FLEET_Q_* variables, those before the file, that before defaults.
    """
    settings = load_settings({"config": file})
    for warning in settings.warnings:
        click.echo(f"warning: {warning}", err=True)
    rows = _rows(settings)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        # A pipe has no edge at which to cut values.
        console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_PIPE)
        console.print(_table(rows, descriptions=console.width >= WIDE))


def _rows(settings: Settings) -> list[Row]:
    return [
        Row(
            setting=name,
            value=shown(name, getattr(settings, name)),
            source=settings.sources[name],
            description=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _table(rows: list[Row], *, descriptions: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    headings = ("value", "source", "what it is")[: 3 if descriptions else 2]
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        cells = (row["setting"], _plain(row["value"]), row["source"], row["description"])
        # A value such as [::1]:0 is not rich markup.
        table.add_row(*map(Text, cells[: len(headings) + 1]))
    return table


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
