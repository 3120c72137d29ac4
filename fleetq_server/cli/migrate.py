"""`fleetq migrate`: brings a store's schema up to date, or says whether it is."""

import click

from fleetq_server.cli.failure import NO, OK
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import print_json
from fleetq_server.config import load_settings
from fleetq_server.store.schema import Schema, bring_up_to_date, look_at_schema


@click.command("migrate")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if there is work to do.")
@fleet_options
@target_of
@click.pass_context
def migrate(ctx: click.Context, target: Target, check: bool) -> None:
    """Bring a store's schema up to date.

    A pod does the same when it starts. Do it ahead where pods may not create tables, or to see
    before a release whether there is anything to do: pods of the version before go on working in
    the new schema.
    """
    store = load_settings({"store": target.store}).store
    before = look_at_schema(store)
    after = before if check or before.current else bring_up_to_date(store)
    if target.as_json:
        document = {"schema": after.number, "newest": after.newest, "current": after.current}
        print_json({**document, "migrated": after != before})
    else:
        click.echo(_sentence(before, after))
    ctx.exit(OK if after.current else NO)


def _sentence(before: Schema, after: Schema) -> str:
    if after != before:
        return f"migrated from schema {before.number} to {after.number}"
    if after.current:
        return f"schema {after.number} is up to date"
    return f"schema {after.number}, this version writes {after.newest}: run fleetq migrate"
