"""`fleetq dlq list|redrive|purge`."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fleetq_server.cli.connect import connect
from fleetq_server.cli.failure import NO
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import iso, print_json, print_table, step_document
from fleetq_server.cli.records import parse_time
from fleetq_server.client.fleet import DeadOptions
from fleetq_server.model import Cause

Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])

FILTER = (
    click.argument("step_ids", metavar="[STEP_ID]...", nargs=-1),
    click.option("--queue", help="Only this queue."),
    click.option("--kind", help="Only this kind."),
    click.option(
        "--cause", type=click.Choice([cause.value for cause in Cause]), help="Only this cause."
    ),
    click.option("--error", metavar="NAME", help="Only errors of this name."),
    click.option("--before", metavar="TIME", help="Only those that died before: ISO 8601."),
    click.option("--after", metavar="TIME", help="Only those that died after."),
)
LIMIT = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=1000,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Only tell which ones it would be.")


def filtered(function: Wrapped) -> Wrapped:
    for option in reversed(FILTER):
        function = option(function)
    return function


@click.group("dlq")
def dlq() -> None:
    """List, redrive and purge steps that failed for good."""


@dlq.command("list")
@filtered
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@fleet_options
@target_of
def list_dead(target: Target, /, limit: int, **flags: Any) -> None:
    """List the DLQ, oldest step first; with --json each step with all its attempts."""
    headings = ("step", "kind", "queue", "cause", "error", "message", "attempts", "died")
    with connect(target) as client:
        found = client.dead(limit=limit, **_which(flags))
        if target.as_json:
            for step in found:
                print_json(step_document(step))
            return
        rows = [
            (
                step.step_id,
                step.kind,
                step.queue,
                step.cause,
                step.error,
                step.message,
                step.attempt,
                iso(step.finished_at),
            )
            for step in found
        ]
    print_table(headings, rows)


@dlq.command("redrive")
@filtered
@LIMIT
@click.option("--rate", type=float, metavar="PER_SECOND", help="Spread them; else all at once.")
@DRY_RUN
@fleet_options
@target_of
def redrive(target: Target, /, limit: int, rate: float | None, dry_run: bool, **flags: Any) -> None:
    """Put steps of the DLQ back to work, oldest first, their failures forgiven."""
    with connect(target) as client:
        ids = client.redrive(limit=limit, rate=rate, dry_run=dry_run, **_which(flags))
    _tell(target, ids, "redriven", dry_run, limit)


@dlq.command("purge")
@filtered
@LIMIT
@DRY_RUN
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@fleet_options
@target_of
@click.pass_context
def purge(
    ctx: click.Context, target: Target, /, limit: int, dry_run: bool, yes: bool, **flags: Any
) -> None:
    """Delete steps of the DLQ for good."""
    which = _which(flags)
    with connect(target) as client:
        if not (dry_run or yes):
            count = len(client.purge(limit=limit, dry_run=True, **which))
            if not _confirmed(count):
                ctx.exit(NO)
        ids = client.purge(limit=limit, dry_run=dry_run, **which)
    _tell(target, ids, "purged", dry_run, limit)


def _confirmed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError(f"this deletes {_steps(count)}; say --yes, or look with --dry-run")
    return click.confirm(f"Delete {_steps(count)} for good?", err=True)


def _which(flags: dict[str, Any]) -> DeadOptions:
    return DeadOptions(
        queue=flags["queue"],
        kind=flags["kind"],
        cause=Cause(flags["cause"]) if flags["cause"] else None,
        error=flags["error"],
        died_before=parse_time(flags["before"], "--before") if flags["before"] else None,
        died_after=parse_time(flags["after"], "--after") if flags["after"] else None,
        step_ids=flags["step_ids"],
    )


def _tell(target: Target, ids: list[str], done: str, dry_run: bool, limit: int) -> None:
    if target.as_json:
        print_json({done: ids, "dry_run": dry_run})
        return
    for step_id in ids:
        click.echo(step_id)
    more = "; there may be more, run it again" if len(ids) == limit else ""
    click.echo(f"{_steps(len(ids))} {'would be ' if dry_run else ''}{done}{more}", err=True)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
