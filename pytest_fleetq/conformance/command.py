"""`fleetq conformance`: runs a worker in any language through the rules of the protocol."""

import asyncio
import errno
import json
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import click

from fleetq_server.client import Client
from pytest_fleetq.conformance.course import findings, in_order
from pytest_fleetq.conformance.rules import RULES, Finding

REACHABLE = 3.0  # seconds
WIDTH = max(map(len, RULES))


@click.command("conformance", context_settings={"ignore_unknown_options": True})
@click.argument("address")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--kind", default="work", show_default=True, help="Kind of the steps it is given.")
@click.option(
    "--rule",
    "rules",
    multiple=True,
    type=click.Choice(list(RULES)),
    help="Try only this rule. May be given several times.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="How many workers run at a time.",
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Seconds to wait for what the protocol sets no time for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one document of JSON at the end.")
@click.pass_context
def conformance(
    ctx: click.Context,
    address: str,
    command: tuple[str, ...],
    kind: str,
    rules: tuple[str, ...],
    jobs: int,
    patience: float,
    as_json: bool,
) -> None:
    """Run a worker in any language through the rules of the protocol, and print which it keeps.

    ADDRESS is a pod of a running fleet; what follows -- starts the worker. It is started several
    times, killed, delayed, cut off and fenced, each time with a proxy before it whose address it
    gets as FLEET_Q_ADDRESS, or where the command says {address}. Steps are of a queue of their own.

    It has to run steps of --kind whose payload is JSON: {"seconds": S} takes so long, gives way
    when stopped, and gives the payload back; {"fail": "NAME"} fails with the error NAME.

    Exit code 1 if a rule is broken.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(errno.ENOENT, "no such command", command[0])
    with Client(address, patience=REACHABLE) as client:
        client.stats()  # or the worker would be blamed for a fleet that is not there
    everything = findings(
        address, command, kind=kind, rules=rules or tuple(RULES), jobs=jobs, patience=patience
    )
    found = in_order(asyncio.run(_collect(everything, quiet=as_json)))
    if as_json:
        click.echo(json.dumps(_document(found), ensure_ascii=False))
    else:
        click.echo(f"{sum(each.kept for each in found)} of {len(found)} rules kept")
    ctx.exit(0 if all(each.kept for each in found) else 1)


async def _collect(everything: AsyncGenerator[Finding, None], *, quiet: bool) -> list[Finding]:
    found: list[Finding] = []
    async with aclosing(everything) as stream:
        async for finding in stream:
            found.append(finding)
            if not quiet:
                click.echo(_line(finding))
    return found


def _line(finding: Finding) -> str:
    mark = "kept  " if finding.kept else "BROKEN"
    why = f": {finding.broken}" if finding.broken else ""
    return f"{mark}  {finding.rule:{WIDTH}}  {RULES[finding.rule]}{why}"


def _document(found: Sequence[Finding]) -> dict[str, object]:
    rules = [
        {"rule": each.rule, "text": RULES[each.rule], "kept": each.kept, "broken": each.broken}
        for each in found
    ]
    return {"rules": rules, "kept": sum(each.kept for each in found), "of": len(found)}
