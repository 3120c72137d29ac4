"""`fleetq gate` and `fleetq gate compare`."""

import secrets
from pathlib import Path
from typing import Any

import click

from pytest_fleetq.perf.errors import PerfError
from pytest_fleetq.perf.gate import unpaired
from pytest_fleetq.perf.gate.artifacts import Artifacts
from pytest_fleetq.perf.gate.checkout import find_commit, has_changes
from pytest_fleetq.perf.gate.course import LOOKS, Course, Judgement
from pytest_fleetq.perf.gate.job import Job
from pytest_fleetq.perf.gate.outcome import EXIT_CODES, failed, judged
from pytest_fleetq.perf.gate.telling import tell
from pytest_fleetq.perf.results import Results

FILE: "click.Path[Path]" = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER: "click.Path[Path]" = click.Path(file_okay=False, path_type=Path)
INSTALL = (
    "Shell command that installs a checkout into its environment, which is active; '' for no "
    "environment at all.  [default: uv or pip install .]"
)


class GateCommand(click.Command):
    """With `compare` for its first word, that command instead."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if args[:1] == ["compare"]:
            return compare.make_context(f"{info_name} compare", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


def _looks(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, ...]:
    words = value.split(",")
    if not all(word.isascii() and word.isdigit() for word in words):
        raise click.BadParameter(f"{value!r} is no list of whole numbers such as 10,20,30")
    looks = tuple(map(int, words))
    if looks[0] < 1 or list(looks) != sorted(set(looks)):
        raise click.BadParameter(f"{value!r} does not ascend from 1 or more")
    return looks


@click.command("gate", cls=GateCommand, epilog=EXIT_CODES)
@click.option("--base", required=True, metavar="REF", help="Commit that is good enough.")
@click.option("--head", default="HEAD", show_default=True, metavar="REF", help="The other commit.")
@click.option(
    "--pairs",
    "looks",
    metavar="N,N,…",
    callback=_looks,
    default=",".join(map(str, LOOKS)),
    show_default=True,
    help="After how many pairs of runs to judge; the last is the most.",
)
@click.option("--install", metavar="CMD", help=INSTALL)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one run may take.",
)
@click.option(
    "--warm-up",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Pairs that do not count, before those that do.",
)
@click.option("--seed", type=int, help="For the order in pairs, and the statistics.")
@click.option("--directory", type=FOLDER, default=".", help="The git repository.  [default: here]")
@click.option("--artifacts", type=FOLDER, help="Folder for all that was measured and found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.argument("command", nargs=-1, required=True)
@click.pass_context
def gate(
    ctx: click.Context,
    /,
    base: str,
    head: str,
    looks: tuple[int, ...],
    install: str | None,
    timeout: float,
    warm_up: int,
    seed: int | None,
    directory: Path,
    artifacts: Path | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Tell whether a commit made a benchmark worse, or only the machine did.

    Both commits are checked out and installed side by side. COMMAND, after --, runs in turns in
    both; it writes its results as JSON to the file {output}, or to standard output. They are judged
    pair by pair. For results that are stored already, see fleetq gate compare --help.
    """
    commits = {
        "base": find_commit(directory, base, "--base"),
        "head": find_commit(directory, head, "--head"),
    }
    if head == "HEAD" and has_changes(directory):
        _say("changes that are not committed are not measured")
    if seed is None:
        seed = secrets.randbits(32)
    job = Job(directory, commits, command, install, timeout, seed, Course(looks, warm_up))
    outcome = job.run(Artifacts(artifacts), _say)
    tell(outcome, as_json=as_json)
    ctx.exit(outcome.exit_code)


@click.command("compare", epilog=EXIT_CODES)
@click.argument("base", type=FILE)
@click.argument("head", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.pass_context
def compare(ctx: click.Context, /, base: Path, head: Path, as_json: bool) -> None:
    """Compare stored results, which tells much less than measuring them side by side.

    Only changes beyond 1.5 times fail, and more of what is counted exactly. Results of different
    machines are not compared at all.
    """
    sides = {"base": str(base), "head": str(head)}
    try:
        findings = unpaired.compare(Results.load(base), Results.load(head))
        verdict = Judgement(findings, 1).verdict
        outcome = judged(verdict, sides, findings, [unpaired.NOTE], {"paired": False})
    except PerfError as error:
        outcome = failed(error, sides)
    tell(outcome, as_json=as_json)
    ctx.exit(outcome.exit_code)


def _say(text: str) -> None:
    click.echo(text, err=True)
