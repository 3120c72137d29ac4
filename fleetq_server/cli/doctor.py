"""`fleetq doctor`: examines a store without touching it."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
from rich.text import Text

from fleetq_server.cli.diagnosis import server
from fleetq_server.cli.diagnosis.check import Check, Level, check_scan, problem
from fleetq_server.cli.diagnosis.database import KEEP, check_contents, check_facts, check_space
from fleetq_server.cli.diagnosis.fleet import check_fleet, look, look_without_files
from fleetq_server.cli.diagnosis.server import check_server
from fleetq_server.cli.failure import NO, OK, UNREACHABLE
from fleetq_server.cli.options import Target, target_of
from fleetq_server.cli.output import console, print_json
from fleetq_server.config import load_settings
from fleetq_server.errors import StoreRefused, StoreUnavailable
from fleetq_server.redaction import shown
from fleetq_server.store import examine_postgres, is_postgres, sqlite_path
from fleetq_server.store.sqlite.examine import SqliteExaminer
from fleetq_server.store.sqlite.presence import SqlitePresence

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


@click.command("doctor")
@click.option("--store", metavar="URL", help="The store. [default: that of the settings in force]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@target_of
@click.pass_context
def doctor(ctx: click.Context, target: Target, store: str | None, as_json: bool) -> None:
    """Examine a store for trouble, and say what to do about it.

    Reads all of it and changes nothing. The exit code is 0 if there is no problem (warnings are
    allowed), 1 if there is one, 3 if the store cannot be opened.
    """
    settings = load_settings({"store": store or target.store})
    url, threshold = settings.store, settings.dead_pod_threshold_seconds
    path = None if is_postgres(url) else sqlite_path(url)
    try:
        checks = _server(url, threshold) if path is None else _file(path, threshold)
        code = NO if any(check.level is Level.PROBLEM for check in checks) else OK
    except (StoreUnavailable, StoreRefused) as error:
        checks = [problem("store", str(error), _advice(path))]
        code = UNREACHABLE
    if as_json or target.as_json:
        documents = [check.document() for check in checks]
        print_json({"ok": code == OK, "store": shown("store", url), "checks": documents})
    else:
        _show(checks)
    ctx.exit(code)


def _server(url: str, threshold: float) -> list[Check]:
    with closing(examine_postgres(url)) as store:
        facts = store.health()
        checks = list(check_server(facts, store.newest_schema()))
        if not _is_of_this_version(checks):
            return checks
        checks.append(check_scan(store, server.KEEP))
        now = float(facts["now"])  # heartbeats carry the server's time
        return [*checks, *check_fleet(look_without_files(store), now, threshold)]


def _is_of_this_version(checks: Sequence[Check]) -> bool:
    """Whether the queries, which are made for this version's tables, can be asked."""
    return all(check.level is Level.OK for check in checks if check.name == "schema")


def _advice(path: Path | None) -> str:
    if path is None:
        return "see that the server runs and lets this host in"
    return f"if a fleet wrote it, {KEEP}" if path.is_file() else "name a store with --store"


def _file(path: Path, threshold: float) -> list[Check]:
    while True:
        store = SqliteExaminer(path)
        try:
            checks = _all_checks(store, threshold)
        finally:
            store.close()
        if not store.disturbed:
            return checks


def _all_checks(store: SqliteExaminer, threshold: float) -> list[Check]:
    checks = [check_space(store.path), *check_facts(store.health(), store.newest_schema())]
    if not _is_of_this_version(checks):
        return checks
    checks += check_contents(store)
    folder = Path(f"{store.path}.fleet")
    presence = SqlitePresence(store.path) if folder.is_dir() else None
    now = time.time()
    try:
        return [*checks, *check_fleet(look(store, presence, folder, now), now, threshold)]
    except StoreUnavailable:
        return checks  # a damaged store: the checks of its contents say so


def _show(checks: Sequence[Check]) -> None:
    out = console()
    wide = max(len(check.name) for check in checks)
    for check in checks:
        level = Text(f"{check.level:<7}", STYLES[check.level])
        out.print(level, Text(f" {check.name:<{wide}}  {check.finding}"))
        if check.advice:
            out.print(Text(f"{'':{wide + 10}}→ {check.advice}"))
