"""`fleetq demo`: real files, real pods, and the leader killed half-way."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from fleetq_server.cli.demonstration.files import Collection, collect
from fleetq_server.cli.demonstration.fleet import Run, parallelism, run_fleet
from fleetq_server.cli.demonstration.screen import Screen, screen_for
from fleetq_server.cli.demonstration.story import Story
from fleetq_server.cli.demonstration.verdict import judge
from fleetq_server.cli.failure import NO, OK
from fleetq_server.cli.options import Target, target_of
from fleetq_server.cli.output import console, print_json
from fleetq_server.cli.spawn import Pods
from fleetq_server.client.tasks import this_task
from fleetq_server.model import Audit
from fleetq_server.store import open_reader

HANDLERS = "fleetq_server.cli.demonstration.handlers"
READY_SECONDS = 5.0  # per pod: they start at once, but cores may be few
ENDING = (signal.SIGTERM, signal.SIGHUP)


@click.command("demo")
@click.argument(
    "directory",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--pods", type=click.IntRange(2, 50), default=5, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a timeline.")
@target_of
@click.pass_context
def demo(
    ctx: click.Context, target: Target, directory: Path | None, pods: int, as_json: bool
) -> None:
    """See a fleet survive the loss of its leader.

    Computes the SHA-256 of every file under DIRECTORY (Python's standard library unless given),
    a step for each, on pods of its own with a store of their own. Half-way it kills the leader
    with SIGKILL. At the end it computes all hashes by itself: the exit code is 0 only if each
    file has exactly one recorded result, the right one.
    """
    found = collect(directory)
    if not found.files:
        skipped = f" (skipped: {_counted(found)})" if found.skipped else ""
        raise click.UsageError(f"no files to hash under {found.directory}{skipped}", ctx)
    told = console(stderr=True)
    with screen_for(told) as screen:
        story = _perform(found, pods, screen)
    if as_json or target.as_json:
        print_json(story.document())
    else:
        _show(story)
    ctx.exit(NO if story.problems else OK)


def _perform(found: Collection, count: int, screen: Screen) -> Story:
    files = len(found.files)
    screen.say(f"{files:,} files, {found.size / 1e6:,.1f} MB, in {found.directory}")
    if found.skipped:
        screen.say(f"skipped: {_counted(found)}")
    with tempfile.TemporaryDirectory(prefix="fleetq-demo-") as folder, Pods() as pods, _orderly():
        store, settings = f"sqlite:///{folder}/fleet.db", _settings(files, count)
        begun = time.monotonic()
        ready = screen.begin("pods start", count, "pods")
        pods.start(
            count,
            store_url=store,
            handlers=[HANDLERS],
            settings=settings,
            ready_timeout=READY_SECONDS * count,
            ready=ready,
            directory=Path(folder),
        )
        ready_seconds = time.monotonic() - begun
        ended = screen.begin("fleet hashes", files, "steps")
        run = _run(run_fleet(pods, found.files, ended, screen.say))
        pods.stop_all()
        checked = screen.begin("all checked", files, "files")
        problems = judge(found, run, _audit(store), checked)
    return Story(found, run, count, ready_seconds, problems)


def _audit(store: str) -> Audit:
    reader = open_reader(store)
    try:
        return reader.audit()
    finally:
        reader.close()


def _settings(files: int, pods: int) -> dict[str, str]:
    return {"max_parallelism": str(parallelism(files, pods)), "capacity_threshold": "1"}


def _run(work: Coroutine[Any, Any, Run]) -> Run:
    """On an event loop that takes the signals between its turns: an exception out of nowhere in
    the middle of gRPC's own code has been seen to crash and to hang it."""
    caught = [n for n in ENDING if signal.getsignal(n) is signal.default_int_handler]

    async def main() -> Run:
        loop, task = asyncio.get_running_loop(), this_task()
        for number in caught:
            loop.add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in caught:  # the loop has left them at their defaults
            signal.signal(number, signal.default_int_handler)


@contextmanager
def _orderly() -> Iterator[None]:
    """SIGTERM and SIGHUP end this process as Ctrl-C does, and nothing disturbs the cleaning up."""
    caught = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in caught:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    except BaseException:
        for number in (*caught, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        raise
    for number in caught:
        signal.signal(number, signal.SIG_DFL)


def _counted(found: Collection) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(found.skipped.items()))


def _show(story: Story) -> None:
    out = console()
    out.print()
    for when, what in story.timeline():
        out.print(Text.assemble((f"{when:>9}", "cyan"), f"  {what}"))
    out.print()
    style = "bold red" if story.problems else "bold green"
    for line in story.verdict():
        out.print(Text(line, style))
