"""`fleetq monitor`: shows a running fleet, alerts, and keeps what it saw."""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live

from fleetq_server.errors import NoPodReachable
from pytest_fleetq.perf.monitor import plot as plots
from pytest_fleetq.perf.monitor.alerts import Alerts, Limits
from pytest_fleetq.perf.monitor.export import Export
from pytest_fleetq.perf.monitor.finding import addresses_in
from pytest_fleetq.perf.monitor.model import Look
from pytest_fleetq.perf.monitor.view import can_renew, line, table
from pytest_fleetq.perf.monitor.watching import Find, Watching

PICTURE = Path("monitoring.png")
FILE: "click.Path[Path]" = click.Path(dir_okay=False, writable=True, path_type=Path)
POSITIVE = click.FloatRange(min=0, min_open=True)
USUAL = Limits()


def _limit(usual: float, what: str) -> dict[str, Any]:
    return {"type": POSITIVE, "default": usual, "show_default": True, "help": what}


@click.command("monitor")
@click.option("--duration", type=POSITIVE, help="Seconds; until Ctrl-C unless given.")
@click.option(
    "--interval", type=POSITIVE, default=1.0, show_default=True, help="Seconds between looks."
)
@click.option("--storage", "--store", metavar="PATH|URL", help="The store of the fleet to watch.")
@click.option(
    "-a",
    "--address",
    metavar="HOST:PORT",
    help="A pod, or several with commas.",
)
@click.option("--verbose", "-v", is_flag=True, help="Show threads, descriptors and processes too.")
@click.option("--plot", is_flag=True, help="Draw it as PNG, beside --output. Needs matplotlib.")
@click.option("--output", type=FILE, help="Write each look to this CSV file.")
@click.option("--alert-cpu", **_limit(USUAL.cpu, "Percent, of a pod or the system."))
@click.option("--alert-memory", **_limit(USUAL.memory, "MB, of a pod."))
@click.option("--alert-system-memory", **_limit(USUAL.system_memory, "Percent of the machine's."))
@click.option("--alert-disk", **_limit(USUAL.disk, "Percent of the disk, in use."))
@click.option("--alert-backlog", **_limit(USUAL.backlog, "Steps PENDING."))
@click.option("--alert-failure-rate", **_limit(USUAL.failure_rate, "Percent of steps that end."))
@click.option("--fail-on-alert", is_flag=True, help="Exit with 1 if there was an alert.")
@click.option("--json", "as_json", is_flag=True, help="Print each look as a line of JSON.")
def monitor(
    duration: float | None,
    interval: float,
    storage: str | None,
    address: str | None,
    verbose: bool,
    plot: bool,
    output: Path | None,
    alert_cpu: float,
    alert_memory: float,
    alert_system_memory: float,
    alert_disk: float,
    alert_backlog: float,
    alert_failure_rate: float,
    fail_on_alert: bool,
    as_json: bool,
) -> None:
    """Watch a running fleet: processor, memory and descriptors of each pod, steps and rates.

    The fleet is found by --address or --storage, or else by FLEET_Q_ADDRESS. Without any it is that
    of the settings in force (see fleetq config); if none is running there, the machine alone is
    watched.

    Exit codes: 0; 1 with --fail-on-alert if there was an alert; 2 if the arguments are wrong or
    no fleet answers.
    """
    if plot:
        plots.figures()  # what is missing is told before the run, not after it
    limits = Limits(
        alert_cpu, alert_memory, alert_system_memory, alert_disk, alert_backlog, alert_failure_rate
    )  # fmt: skip
    alerts = Alerts(limits)
    watching = Watching(_find(storage, address), str(Path(storage or ".").absolute().anchor))
    picture = (output.with_suffix(".png") if output else PICTURE) if plot else None
    looks: list[Look] = []
    with ExitStack() as stack:
        stack.callback(watching.close)
        tell = _teller(stack, alerts, output, verbose=verbose, as_json=as_json)
        with suppress(KeyboardInterrupt):  # the usual way to end it
            _watch(watching, interval, duration, partial(_keep, looks if plot else None, tell))
    if picture is not None:
        plots.draw(looks, picture)
        click.echo(f"picture: {picture}", err=True)
    sys.exit(1 if fail_on_alert and alerts.raised else 0)


Tell = Callable[[Look], None]


def _find(storage: str | None, address: str | None) -> Find | None:
    """How to find the fleet; raises if one was named that does not answer."""
    # As for every command: what was said here beats the environment.
    known = address or (None if storage else os.environ.get("FLEET_Q_ADDRESS"))
    if known:
        return lambda: known.split(",")
    find = partial(addresses_in, storage)
    try:
        find()
    except NoPodReachable as error:
        if storage is not None:
            raise click.UsageError(str(error)) from None
        click.echo(f"no fleet to watch ({error}): the machine alone", err=True)
        return None
    return find


def _watch(watching: Watching, interval: float, duration: float | None, tell: Tell) -> None:
    tell(watching.look())  # the first one finds the fleet, which takes its time
    began = time.monotonic()
    due = interval  # of the beginning: looks do not drift
    while duration is None or due <= duration:
        time.sleep(max(0.0, began + due - time.monotonic()))
        tell(watching.look())
        # Those that were missed are left out: figures of no time at all raise false alerts.
        late = time.monotonic() - began - due
        due += interval * (1 + max(0.0, late // interval))


def _keep(looks: list[Look] | None, tell: Tell, look: Look) -> None:
    if looks is not None:
        looks.append(look)
    tell(look)


def _teller(
    stack: ExitStack, alerts: Alerts, output: Path | None, *, verbose: bool, as_json: bool
) -> Tell:
    """What to do with each look."""
    export = stack.enter_context(Export(output)) if output else None
    console = Console(highlight=False)
    live = None
    if can_renew(console) and not as_json:
        live = stack.enter_context(Live(console=console, auto_refresh=False))
    log: list[str] = []

    def tell(look: Look) -> None:
        told = [*look.events, *map(str, alerts.look(look))]
        log.extend(f"{look.elapsed:.0f} s  {text}" for text in told)
        if export:
            export.add(look, told)
        if as_json:
            click.echo(json.dumps({**asdict(look), "told": told}))
        elif live is not None:
            live.update(table(look, alerts.standing, log, verbose=verbose), refresh=True)
        else:
            for text in (line(look), *told):
                click.echo(text)

    return tell
