"""`fleetq queues` and `fleetq stats`."""

from dataclasses import asdict

import click

from fleetq_server.cli.connect import connect
from fleetq_server.cli.failure import NO
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import print_json, print_pairs, print_table
from fleetq_server.model import QueueStats, Stats

COLUMNS = ("pending", "claimed", "scheduled", "completed", "failed", "cancelled", "submitted")


@click.command("stats")
@fleet_options
@target_of
@click.pass_context
def stats(ctx: click.Context, target: Target) -> None:
    """Show the fleet's counters. Exit code 1 if they do not add up."""
    with connect(target) as client:
        found = client.stats()
    if target.as_json:
        print_json(_document(found))
    else:
        _show(found)
    ctx.exit(0 if found.totals.conserved else NO)


@click.group("queues", invoke_without_command=True)
@fleet_options
@click.pass_context
def queues(ctx: click.Context) -> None:
    """List queues; pause and resume them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_queues)


@queues.command("list")
@fleet_options
@target_of
def list_queues(target: Target) -> None:
    """List queues with their counters."""
    with connect(target) as client:
        found = client.stats().queues
    if target.as_json:
        print_json({"queues": [_queue_document(queue) for queue in found]})
    else:
        _table(found)


@queues.command("pause")
@click.argument("queue")
@fleet_options
@target_of
def pause(target: Target, queue: str) -> None:
    """Stop claims from QUEUE; what is claimed goes on."""
    _set_paused(target, queue, paused=True)


@queues.command("resume")
@click.argument("queue")
@fleet_options
@target_of
def resume(target: Target, queue: str) -> None:
    """Let claims from QUEUE go on."""
    _set_paused(target, queue, paused=False)


def _set_paused(target: Target, queue: str, *, paused: bool) -> None:
    with connect(target) as client:
        if paused:
            client.pause(queue)
        else:
            client.resume(queue)
    if target.as_json:
        print_json({"queue": queue, "paused": paused})
    else:
        click.echo(f"{queue} {'is paused' if paused else 'goes on'}")


def _show(found: Stats) -> None:
    totals = asdict(found.totals)
    leader, term = found.leadership.holder_id, found.leadership.term
    print_pairs(
        (
            *totals.items(),
            ("conserved", "yes" if found.totals.conserved else "NO: run fleetq doctor"),
            ("live pods", found.live_pods),
            ("leader", f"{leader or 'nobody'}, term {term}"),
            *((name, f"{value:g}") for name, value in sorted(found.store.items())),
        )
    )
    _table(found.queues)


def _table(found: tuple[QueueStats, ...]) -> None:
    rows = (
        (each.queue, "paused" if each.paused else "", *(getattr(each.counts, c) for c in COLUMNS))
        for each in found
    )
    print_table(("queue", "", *COLUMNS), rows)


def _document(found: Stats) -> dict[str, object]:
    return {
        "totals": asdict(found.totals),
        "conserved": found.totals.conserved,
        "queues": [_queue_document(queue) for queue in found.queues],
        "live_pods": found.live_pods,
        "leader": found.leadership.holder_id,
        "term": found.leadership.term,
        "store": dict(found.store),
    }


def _queue_document(queue: QueueStats) -> dict[str, object]:
    return {"queue": queue.queue, "paused": queue.paused, **asdict(queue.counts)}
