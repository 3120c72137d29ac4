"""`fleetq steps`."""

from itertools import islice

import click

from fleetq_server.cli.connect import connect
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import (
    data_text,
    iso,
    print_json,
    print_pairs,
    print_table,
    step_document,
)
from fleetq_server.model import Step, StepState


@click.command("steps")
@click.argument("step_id", required=False)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in StepState], case_sensitive=False),
    help="Only steps in this state. Repeatable.",
)
@click.option("--queue", help="Only steps of this queue.")
@click.option("--kind", help="Only steps of this kind.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many."
)
@fleet_options
@target_of
def steps(
    target: Target,
    step_id: str | None,
    states: tuple[str, ...],
    queue: str | None,
    kind: str | None,
    limit: int,
) -> None:
    """Show the step STEP_ID with its attempts, or list steps, newest first."""
    with connect(target) as client:
        if step_id is not None:
            _show(client.get(step_id), target.as_json)
            return
        chosen = [StepState(state.upper()) for state in states]
        found = client.list(queue=queue, kind=kind, states=chosen, limit=limit)
        if target.as_json:
            for step in found:
                print_json(step_document(step))
        else:
            _list(list(islice(found, limit)))


def _list(found: list[Step]) -> None:
    headings = ("step", "state", "kind", "queue", "attempt", "created", "holder", "error")
    rows = (
        (
            step.step_id,
            step.state,
            step.kind,
            step.queue,
            step.attempt,
            iso(step.created_at),
            step.holder,
            step.message or step.error,
        )
        for step in found
    )
    print_table(headings, rows)


def _show(step: Step, as_json: bool) -> None:
    if as_json:
        print_json(step_document(step))
        return
    print_pairs(
        (
            ("step", step.step_id),
            ("state", step.state),
            ("kind", step.kind),
            ("queue", step.queue),
            ("priority", step.priority),
            ("payload", data_text(step.payload)),
            ("metadata", dict(step.metadata)),
            ("key", step.idempotency_key),
            ("attempt", step.attempt),
            ("failures", step.failures),
            ("crashes", step.crashes),
            ("created", iso(step.created_at)),
            ("run at", iso(step.run_at)),
            ("claimed", iso(step.claimed_at)),
            ("finished", iso(step.finished_at)),
            ("holder", step.holder),
            ("progress", data_text(step.progress)),
            ("result", data_text(step.result.data if step.result else None)),
            ("cause", step.cause),
            ("error", step.error),
            ("message", step.message),
        )
    )
    if step.attempts:
        rows = (
            (each.attempt, iso(each.ended_at), each.cause, each.error, each.message, each.holder)
            for each in step.attempts
        )
        print_table(("attempt", "ended", "cause", "error", "message", "holder"), rows)
