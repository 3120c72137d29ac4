"""`fleetq submit`."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fleetq_server.cli.connect import connect
from fleetq_server.cli.failure import NO
from fleetq_server.cli.options import Target, fleet_options, target_of
from fleetq_server.cli.output import console
from fleetq_server.cli.records import (
    ByteStream,
    Defaults,
    Line,
    parse_record,
    parse_time,
    read_lines,
)
from fleetq_server.cli.submission import Submission
from fleetq_server.errors import InvalidArgument
from fleetq_server.model import DEFAULT_RETRY, NewStep

Advance = Callable[[int], None]


class Source(NamedTuple):
    name: str
    stream: ByteStream
    size: int | None  # bytes, where that is known


@click.command("submit")
@click.argument("file", required=False, type=click.Path(allow_dash=True, dir_okay=False))
@click.option("--kind", help="Kind of the steps whose record names none.")
@click.option("--queue", default="default", show_default=True, help="Queue, likewise.")
@click.option("--payload", metavar="JSON", help="Submit one step with this payload, no file.")
@click.option("--metadata", metavar="KEY=VALUE", multiple=True, help="With --payload. Repeatable.")
@click.option("--idempotency-key", metavar="KEY", help="With --payload.")
@click.option("--priority", type=int, default=0, help="-1000 to 1000; higher runs first.")
@click.option(
    "--run-at", metavar="TIME", help="Not before: ISO 8601, UTC unless it says otherwise."
)
@click.option("--attempt-timeout", type=float, metavar="SECONDS", help="Limit of one attempt.")
@click.option("--max-attempts", type=int, metavar="N", help="Failures after which a step is dead.")
@click.option("--wait", is_flag=True, help="Wait for the steps, and show how they ended.")
@click.option(
    "--wait-timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long --wait waits.",
)
@click.option(
    "--ids/--no-ids",
    default=None,
    help="Print each step's id. [default: unless standard output is a terminal]",
)
@fleet_options
@target_of
@click.pass_context
def submit(
    ctx: click.Context,
    target: Target,
    /,
    file: str | None,
    payload: str | None,
    wait: bool,
    wait_timeout: float,
    ids: bool | None,
    **flags: Any,
) -> None:
    """Submit steps: one per line of FILE ("-": standard input) in JSON, or one by --payload.

    A line is an object with "kind", "payload" (any JSON) or "payload_base64", "queue",
    "metadata", "priority", "run_at", "timeout", "retry" and "idempotency_key"; flags say what it
    leaves out. A bad line is reported with its number, and the others are submitted all the
    same; exit code 1 then. Only idempotency keys make it harmless to submit a file again.

    With --wait, each step's id and result are printed when it has completed.

    With --json, each line of output tells of one line of input: its "line" and "step_id", or
    "error"; with --wait another one of its end.
    """
    defaults = _defaults(flags)
    with connect(target) as client, _open(file, payload, defaults, flags) as (source, one):
        submission = Submission(
            client,
            name=source.name,
            as_json=target.as_json,
            ids=not sys.stdout.isatty() if ids is None else ids,
            keep=wait,
            numbered=one is None,
        )
        try:
            if one is not None:
                submission.add([(1, one)])
            else:
                _read(source, submission, defaults)
        finally:
            submission.summary()
        if wait:
            submission.wait(wait_timeout)
    ctx.exit(NO if submission.bad else 0)


def _read(source: Source, submission: Submission, defaults: Defaults) -> None:
    with _progress(source) as advance:
        for lines in read_lines(source.stream):
            submission.add_lines(lines, defaults)
            advance(_size(lines))


def _defaults(flags: dict[str, Any]) -> Defaults:
    attempts = flags["max_attempts"]
    return Defaults(
        kind=flags["kind"],
        queue=flags["queue"],
        priority=flags["priority"],
        run_at=parse_time(flags["run_at"], "--run-at") if flags["run_at"] else None,
        timeout=flags["attempt_timeout"],
        retry=DEFAULT_RETRY if attempts is None else replace(DEFAULT_RETRY, max_attempts=attempts),
    )


@contextlib.contextmanager
def _open(
    file: str | None, payload: str | None, defaults: Defaults, flags: dict[str, Any]
) -> Iterator[tuple[Source, NewStep | None]]:
    if payload is not None:
        if file is not None:
            raise click.UsageError("give FILE or --payload, not both")
        yield Source("--payload", io.BytesIO(), None), _one(payload, defaults, flags)
        return
    if flags["metadata"] or flags["idempotency_key"]:
        raise click.UsageError("--metadata and --idempotency-key go with --payload")
    if file in (None, "-"):
        if file is None and sys.stdin.isatty():
            raise click.UsageError("give FILE, - for standard input, or --payload")
        yield Source("standard input", cast(ByteStream, sys.stdin.buffer), None), None
        return
    path = Path(str(file))
    with path.open("rb") as stream:
        yield Source(str(path), stream, os.fstat(stream.fileno()).st_size), None


def _one(payload: str, defaults: Defaults, flags: dict[str, Any]) -> NewStep:
    try:
        value = json.loads(payload)
    except ValueError as error:
        raise InvalidArgument("--payload", f"is not JSON: {error}") from None
    record = {"payload": value, "metadata": dict(map(_pair, flags["metadata"]))}
    return parse_record({**record, "idempotency_key": flags["idempotency_key"]}, defaults)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--metadata {text!r} is not KEY=VALUE")
    return key, value


@contextlib.contextmanager
def _progress(source: Source) -> Iterator[Advance]:
    """A bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"submitting {source.name}", total=source.size)
        yield lambda size: bar.advance(task, size)


def _size(lines: list[Line]) -> int:
    return sum(len(line.text or b"") + 1 for line in lines)
