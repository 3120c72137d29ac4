"""`fleetq bench`, which `scripts/benchmark_performance.py` is another door to."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from fleetq_server.bench.bench import NAMES, contributed
from fleetq_server.bench.plan import Say
from pytest_fleetq.perf.bench.outputs import Outputs, json_of, results_of
from pytest_fleetq.perf.bench.words import show

if TYPE_CHECKING:
    from fleetq_server.bench.report import Report

FAILED = 1
STANDARD = ("claiming", "recovery", "resource", "concurrent")
KNOWN = tuple(dict.fromkeys((*NAMES, *contributed())))
OWN_PODS = ("cluster", "proxy")  # which start their pods in ways of their own
PROFILES = "profiles"
SECONDS = click.FloatRange(min=0, min_open=True)
FILE: "click.Path[Path]" = click.Path(dir_okay=False, writable=True, path_type=Path)
FOLDER: "click.Path[Path]" = click.Path(file_okay=False, path_type=Path)


@click.command("bench")
@click.argument("name", type=click.Choice([*KNOWN, "standard", "all"]), required=False)
@click.option(
    "--benchmark",
    type=click.Choice(["all", *STANDARD]),
    help="Another way to say NAME, for the standard ones; all means those four.",
)
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
@click.option("--output", type=FILE, help="Write the JSON to this file.")
@click.option("--csv", type=FILE, help="Write all figures to this CSV file.")
@click.option("--plot", type=FILE, help="Draw them to this PNG file. Needs matplotlib.")
@click.option("--save", type=FOLDER, help="Add them to this folder, for fleetq trend.")
@click.option(
    "--profile",
    type=FOLDER,
    is_flag=False,
    flag_value=PROFILES,
    metavar="[DIR]",
    help=f"Draw a flame graph of each pod, as SVG in DIR. [default: {PROFILES}]",
)
@click.pass_context
def bench(
    ctx: click.Context,
    /,
    name: str | None,
    benchmark: str | None,
    directory: Path | None,
    store: str,
    seed: int,
    check: bool,
    as_json: bool,
    output: Path | None,
    csv: Path | None,
    plot: Path | None,
    save: Path | None,
    profile: Path | None,
    **sizes: Any,
) -> None:
    """Measure a fleet on this machine.

    \b
    claiming    drain a backlog of steps that do nothing; submit and claim over gRPC
    recovery    from SIGKILL of a pod until its steps run elsewhere
    resource    processor time and memory of pods under an even load
    concurrent  eight clients at once, over all pods and over one
    standard    these four, one after the other

    \b
    cycle       submit over gRPC, claim, run, complete
    submits     64 callers of one client, one step at a time
    latency     from submit to the handler's start when idle; cost of an idle pod
    fairness    8 pods that write as fast as they can
    backlog     claims among 5 million steps, against 10 thousand
    memory      of a pod that 100,000 steps passed through
    cluster     3 and 50 pods of a test ready, and ended
    proxy       what the proxy of network faults adds to a call
    all         every one of them

    Pods are real processes over a new store. The raw limit is the same SQL straight through
    SQLite, measured in turns with the pods. After each run all steps are counted: exit code 1 if
    one is missing.
    """
    names = names_of(name, benchmark)
    _check_profile(names, profile, save)
    outputs = Outputs(output, csv, plot, save)
    given = {key: value for key, value in sizes.items() if value is not None}
    reports = []
    for report in _measure(names, directory, store, seed, given, profile):
        reports.append(report)
        if not as_json:
            show(report)
    results = results_of(reports, seed)
    outputs.write(reports, results)
    if as_json:
        click.echo(json_of(reports, results))
    ctx.exit(exit_code(reports, check=check))


def exit_code(reports: Sequence["Report"], *, check: bool) -> int:
    lost = any(report.problems for report in reports)
    missed = check and not all(report.reached for report in reports)
    return FAILED if lost or missed else 0


def names_of(name: str | None, benchmark: str | None) -> Sequence[str]:
    if (name is None) == (benchmark is None):
        raise click.UsageError(f"give one benchmark, by NAME: {', '.join(KNOWN)}, standard, all")
    if name == "all":
        return KNOWN
    if name == "standard" or benchmark == "all":
        return STANDARD
    return (name or benchmark or "",)


def _check_profile(names: Sequence[str], profile: Path | None, save: Path | None) -> None:
    if profile is not None and save is not None:
        raise click.UsageError("--save and --profile: profiled pods are slower; measure them apart")
    without = [name for name in names if name in OWN_PODS]
    if profile is not None and without:
        raise click.UsageError(f"--profile: bench {without[0]} measures the start of pods only")


def _measure(
    names: Sequence[str],
    directory: Path | None,
    store: str,
    seed: int,
    given: dict[str, Any],
    profile: Path | None,
) -> Iterator["Report"]:
    # Loaded on use: `fleetq bench --help` needs neither gRPC nor SQLite.
    registry = import_module("fleetq_server.bench.registry")
    for name in names:
        registry.find(name, store)  # refused before anything is measured
    for number, name in enumerate(names, 1):
        title = name if len(names) == 1 else f"{name} ({number} of {len(names)})"
        with (
            tempfile.TemporaryDirectory(prefix="fleetq-bench-", dir=directory) as scratch,
            _progress(title) as say,
        ):
            report = registry.run(name, Path(scratch), seed, given, say, store, profile)
        yield report


@contextmanager
def _progress(title: str) -> Iterator[Say]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        bar = bars.add_task(title, total=1.0)

        def say(text: str, share: float | None = None, /) -> None:
            bars.update(bar, description=f"{title}: {text}", completed=share)

        yield say
