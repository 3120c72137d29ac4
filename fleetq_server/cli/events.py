"""`fleetq events`."""

import click

from fleetq_server.cli.connect import connect
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import event_document, iso, print_json
from fleetq_server.model import EVENT_TYPES, Event

QUIET_SECONDS = 1.0
IDS_SHOWN = 5


@click.command("events")
@click.option("-f", "--follow", is_flag=True, help="Go on with new ones, until interrupted.")
@click.option(
    "--since",
    type=click.IntRange(min=0),
    metavar="SEQ",
    help="Begin behind this sequence number. [default: all that is kept; with --follow only new]",
)
@click.option(
    "--type",
    "types",
    type=click.Choice(EVENT_TYPES),
    metavar="TYPE",
    multiple=True,
    help=f"Only events of this type: {', '.join(EVENT_TYPES)}. Repeatable.",
)
@fleet_options
@target_of
def events(target: Target, follow: bool, since: int | None, types: tuple[str, ...]) -> None:
    """Show what happened in the fleet; without --follow ends when all is quiet for a second."""
    after = since if follow or since is not None else 0
    with connect(target) as client:
        for event in client.events(
            after=after, types=types, quiet=None if follow else QUIET_SECONDS
        ):
            if target.as_json:
                print_json(event_document(event))
            else:
                click.echo(_line(event))


def _line(event: Event) -> str:
    details = [f"{name}={value}" for name, value in event.detail.items()]
    ids = [str(step_id) for step_id in event.step_ids]
    if ids:
        more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
        details.insert(0, f"steps {' '.join(ids[:IDS_SHOWN])}{more}")
    places = [("queue", event.queue), ("pod", event.holder), ("term", event.term)]
    details += [f"{name} {value}" for name, value in places if value]
    return f"{event.seq:>8}  {iso(event.at)}  {event.type:<12} {', '.join(details)}"
