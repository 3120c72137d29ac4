"""`fleetq bench`."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleetq_server.bench.bench import contributed
from fleetq_server.cli.failure import NO
from fleetq_server.cli.output import console, print_json, print_table

if TYPE_CHECKING:
    from fleetq_server.bench.report import Line, Report

NAMES = (
    "claiming",
    "cycle",
    "submits",
    "latency",
    "recovery",
    "fairness",
    "backlog",
    "memory",
)
KNOWN = tuple(dict.fromkeys((*NAMES, *contributed())))
SECONDS = click.FloatRange(min=0, min_open=True)


@click.command("bench")
@click.argument("name", type=click.Choice([*KNOWN, "all"]))
@click.option("--steps", type=click.IntRange(1), help="How many steps to measure with.")
@click.option("--pods", type=click.IntRange(1), help="How many pods.")
@click.option("--duration", type=SECONDS, metavar="SECONDS", help="How long to measure for.")
@click.option("--rounds", type=click.IntRange(1), help="How often; the median counts.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Where the stores go while measuring: the disk that is measured. [default: temporary]",
)
@click.option(
    "--store",
    metavar="URL",
    default="",
    help="Measure over a PostgreSQL database instead, in schemas that are deleted afterwards.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="For whatever is random.")
@click.option("--check", is_flag=True, help="Exit with 1 if a target is not reached.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.pass_context
def bench(
    ctx: click.Context,
    /,
    name: str,
    directory: Path | None,
    store: str,
    seed: int,
    check: bool,
    as_json: bool,
    **sizes: Any,
) -> None:
    """Measure a fleet on this machine, beside the raw limit of its store.

    \b
    claiming  drain a backlog of steps that do nothing
    cycle     submit over gRPC, claim, run, complete
    submits   64 callers of one client, one step at a time
    latency   from submit to the handler's start when idle; cost of an idle pod
    recovery  from SIGKILL of a pod until its steps run elsewhere
    fairness  8 pods that write as fast as they can
    backlog   claims among 5 million steps, against 10 thousand
    memory    of a pod that 100,000 steps passed through
    cluster   3 and 50 pods of a test ready, and ended (pytest-fleetq)
    proxy     what the proxy of network faults adds to a call (pytest-fleetq)
    all       one after the other

    Pods are real processes over a new store. The raw limit is the same SQL straight through
    SQLite, measured in turns with the pods. After each run all steps are counted: exit code 1 if
    one is missing.
    """
    given = {key: value for key, value in sizes.items() if value is not None}
    names = KNOWN if name == "all" else (name,)
    reports = [_measure(each, directory, store, seed, given, as_json) for each in names]
    if as_json:
        documents = [report.document() for report in reports]
        print_json({"benches": documents} if name == "all" else documents[0])
    lost = any(report.problems for report in reports)
    missed = check and not all(report.reached for report in reports)
    ctx.exit(NO if lost or missed else 0)


def _measure(
    name: str, directory: Path | None, store: str, seed: int, given: dict[str, Any], quiet: bool
) -> "Report":
    # Loaded on use: `fleetq bench --help` needs neither gRPC nor SQLite.
    registry = import_module("fleetq_server.bench.registry")
    with (
        tempfile.TemporaryDirectory(prefix="fleetq-bench-", dir=directory) as scratch,
        _progress(name) as say,
    ):
        report: Report = registry.run(name, Path(scratch), seed, given, say, store)
    if not quiet:
        _show(report)
    return report


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """A line that changes, on a terminal; nothing elsewhere."""
    with console(stderr=True).status(name) as status:
        yield lambda text: status.update(f"{name}: {text}")


def _show(report: "Report") -> None:
    headings = (report.bench, "measured", "raw limit", "of raw", "must reach", "")
    print_table(headings, [_row(line) for line in report.lines])
    for problem in report.problems:
        click.echo(f"LOST OR MISCOUNTED: {problem}")
    about = ", ".join(f"{name} {value}" for name, value in report.conditions.items())
    click.echo(f"({about})\n".replace("_", " "))


def _row(line: "Line") -> tuple[str, ...]:
    return (
        line.what,
        _figure(line.value, line.unit),
        "" if line.raw_value is None else _figure(line.raw_value, line.unit),
        "" if line.ratio is None else f"{line.ratio:.2f}",
        line.target.text(line.unit) if line.target else "",
        {True: "reached", False: "MISSED", None: ""}[line.reached],
    )


def _figure(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()
