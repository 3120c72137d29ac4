"""`fleetq wait`."""

import click

from fleetq_server.cli.connect import connect
from fleetq_server.cli.failure import NO
from fleetq_server.cli.ids import read_ids
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import data_text, outcome_document, print_json, print_table
from fleetq_server.client import WaitResult


@click.command("wait")
@click.argument("step_ids", metavar="STEP_ID...", nargs=-1, required=True)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait; 0 only looks.",
)
@fleet_options
@target_of
@click.pass_context
def wait(ctx: click.Context, target: Target, step_ids: tuple[str, ...], timeout: float) -> None:
    """Wait until the steps have ended ("-": ids on standard input), and show their results.

    Exit code 1 if one of them failed, was cancelled, or has not ended in time.
    """
    ids = read_ids(step_ids)
    with connect(target) as client:
        result = client.wait(ids, timeout=timeout)
    if target.as_json:
        print_json(_document(result))
    else:
        _show(result)
    ctx.exit(0 if result.ok else NO)


def _document(result: WaitResult) -> dict[str, object]:
    return {
        "completed": result.completed,
        "failed": result.failed,
        "cancelled": result.cancelled,
        "pending": list(result.pending),
        "results": [outcome_document(outcome) for outcome in result],
    }


def _show(result: WaitResult) -> None:
    rows: list[tuple[object, ...]] = [
        (
            outcome.step_id,
            outcome.state,
            outcome.attempt,
            data_text(outcome.data) if outcome.ok else (outcome.message or outcome.error),
        )
        for outcome in result
    ]
    rows += [(step_id, "not ended", None, None) for step_id in result.pending]
    print_table(("step", "state", "attempt", "result"), rows)
