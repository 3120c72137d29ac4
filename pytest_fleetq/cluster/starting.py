"""From what was asked for to the starter and the store of a cluster."""

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_fleetq.cluster.errors import BadRequest
from pytest_fleetq.cluster.extensions import Extensions
from pytest_fleetq.cluster.plan import Launcher, uses
from pytest_fleetq.cluster.readiness import Ready, make_probe
from pytest_fleetq.cluster.request import Request
from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.starters import CommandStarter, FleetqStarter, Starter, from_command
from pytest_fleetq.postgres import shared
from pytest_fleetq.postgres.server import NoServer

if TYPE_CHECKING:
    from pytest_fleetq.cluster.fleet import Fleet


def make_starter(
    session: Session, request: Request, fleet: "Fleet", extensions: Extensions
) -> Starter:
    cwd = request.cwd or Path.cwd()
    env = {name: str(value) for name, value in request.env.items()}
    if request.is_fleetq:
        probe = None if request.ready is None else make_probe(request.ready, extensions.probes)
        return FleetqStarter(
            session, fleet.plan, store=fleet.store_url, handlers=request.handlers,
            config=request.config, env=env, cwd=cwd, probe=probe, timeout=fleet.timeout,
        )  # fmt: skip
    return CommandStarter(
        session, fleet.plan, launcher=_launcher(request, extensions), env=env,
        clock=request.clock, cwd=cwd, ready=_ready(request), probes=extensions.probes,
        timeout=fleet.timeout,
    )  # fmt: skip


def make_store(request: Request, directory: Path, extensions: Extensions) -> str:
    """The URL of a new store, or of the one given. For other programs: a folder they share."""
    store = request.store
    if store is not None and store in extensions.stores:
        return extensions.stores[store](directory)
    if store is not None and ":" in store:
        return store
    if not request.is_fleetq:
        shared = directory / (store or "store")
        shared.mkdir(exist_ok=True)
        return str(shared)
    if store in (None, "sqlite"):
        return f"sqlite:///{directory / 'fleet.db'}"
    if store == "postgresql":
        return _fresh_database()
    known = ", ".join(["sqlite", "postgresql", *extensions.stores])
    raise BadRequest(f"store={store!r}: there is {known}, or a URL")


def _fresh_database() -> str:
    try:
        return shared.fresh()
    except NoServer as missing:
        raise BadRequest(f"store='postgresql': {missing}") from missing


def _launcher(request: Request, extensions: Extensions) -> Launcher:
    if request.command is not None:
        return from_command(request.command)
    assert request.launcher is not None
    if request.launcher not in extensions.launchers:
        known = ", ".join(extensions.launchers) or "no plugin that brings one"
        raise BadRequest(f"launcher={request.launcher!r}: there is {known}")
    return extensions.launchers[request.launcher]


def _ready(request: Request) -> Ready:
    """A command that is told no port need not listen on one."""
    if request.ready is not None or request.launcher or callable(request.command):
        return request.ready
    words = [*map(str, request.command or ()), *map(str, request.env.values())]
    return "tcp" if uses("port", words) or uses("self", words) else "started"
