"""`python -m fleetq_server.cli.losepower DATABASE`: takes back what was written to a fleet's SQLite
file but never synced, as a power loss does. For tests: its pods were started with the setting
`faults`, which has their writes noted, and are all dead by now; started again, they find what a
power loss leaves. Says `{"lost": N}`, how many writes are gone.
"""

import json
from pathlib import Path
from random import Random

import click

from fleetq_server.store.sqlite.faultvfs import lose_power


@click.command()
@click.argument("database", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--seed", type=int, help="Of the chance by which some arrived after all, whole or in part."
)
def main(database: Path, seed: int | None) -> None:
    """Take back the unsynced writes to a database that no process has open."""
    lost = lose_power(database, None if seed is None else Random(seed))
    click.echo(json.dumps({"lost": lost}))


if __name__ == "__main__":
    main()
