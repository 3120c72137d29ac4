"""`fleetq cancel`."""

import click

from fleetq_server.cli.connect import connect
from fleetq_server.cli.failure import ABSENT
from fleetq_server.cli.ids import read_ids
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import print_json, print_table
from fleetq_server.model import StepState


@click.command("cancel")
@click.argument("step_ids", metavar="STEP_ID...", nargs=-1, required=True)
@fleet_options
@target_of
@click.pass_context
def cancel(ctx: click.Context, target: Target, step_ids: tuple[str, ...]) -> None:
    """Cancel steps ("-": ids on standard input).

    Those that wait are cancelled at once; whoever runs one is asked to stop it. Steps that have
    ended stay as they are, which is no error: look at the state that is shown for each.
    """
    ids = read_ids(step_ids)
    with connect(target) as client:
        states = client.cancel(ids)
    if target.as_json:
        outcomes = [{"step_id": i, "state": s} for i, s in zip(ids, states, strict=True)]
        print_json({"outcomes": outcomes})
    else:
        rows = ((i, _told(state)) for i, state in zip(ids, states, strict=True))
        print_table(("step", "now"), rows)
    ctx.exit(ABSENT if None in states else 0)


def _told(state: StepState | None) -> str:
    match state:
        case None:
            return "no such step"
        case StepState.CLAIMED:
            return "asked to stop"
        case StepState.COMPLETED | StepState.FAILED:
            return f"already {state.lower()}"
        case _:
            return state.lower()
