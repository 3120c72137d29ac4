"""What `cluster(...)` is asked for, checked before anything starts."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_fleetq.cluster.errors import BadRequest
from pytest_fleetq.cluster.plan import Launcher, uses
from pytest_fleetq.cluster.readiness import Ready

if TYPE_CHECKING:
    from pytest_fleetq.cluster.fleet import Fleet
    from pytest_fleetq.cluster.pod import Pod

MAX_PODS = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """See `cluster` in the plugin for what the fields mean."""

    n_pods: int
    handlers: tuple[str, ...] = ()
    command: Sequence[str] | Launcher | None = None
    launcher: str | None = None
    store: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, object] | Path = field(default_factory=dict)
    ready: Ready = None
    links: bool | None = None
    clock: bool = False
    name: str = "cluster"
    host: str = "127.0.0.1"
    timeout: float | None = None
    cwd: Path | None = None
    leader: "Callable[[Fleet], Pod] | None" = None
    allow_exits: bool = False
    other_clients: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_fleetq(self) -> bool:
        return self.command is None and self.launcher is None

    @property
    def with_links(self) -> bool:
        """Links are made where asked for, and for commands that name `{peers}`: to put proxies
        between such pods later would mean to restart them."""
        if self.links is not None:
            return self.links
        words = () if self.command is None or callable(self.command) else tuple(self.command)
        return uses("peers", (*map(str, words), *map(str, self.env.values())))


_FIELDS = tuple(inspect.signature(Request).parameters)


def make_request(n_pods: int, /, **arguments: Any) -> Request:
    """Raises: BadRequest, TypeError for arguments nobody knows."""
    known = {name: value for name, value in arguments.items() if name in _FIELDS}
    settings = {name: value for name, value in arguments.items() if name not in _FIELDS}
    if settings and not (arguments.get("launcher") or callable(arguments.get("command"))):
        raise TypeError(f"cluster() got an unexpected argument {next(iter(settings))!r}")
    known["handlers"] = _names(known.get("handlers"))
    for name in ("env", "config"):
        known[name] = {} if known.get(name) is None else known[name]
    if isinstance(known["config"], str):
        known["config"] = Path(known["config"]).absolute()
    request = Request(n_pods, **known, settings=settings)
    _check(request)
    return request


def _names(handlers: str | Sequence[str] | None) -> tuple[str, ...]:
    if handlers is None:
        return ()
    names = (handlers,) if isinstance(handlers, str) else tuple(handlers)
    for name in names:
        if not isinstance(name, str):
            raise BadRequest(f"handlers={handlers!r}: give modules by name")
    return names


def _check(request: Request) -> None:
    number = request.n_pods
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_PODS:
        raise BadRequest(f"n_pods={number!r} must be from 1 to {MAX_PODS}")
    if request.command is not None and request.launcher is not None:
        raise BadRequest("command= and launcher= both say how to start pods: give one")
    if not request.is_fleetq and request.handlers:
        raise BadRequest(
            "handlers= are for FLEET-Q pods; with command= or launcher= nobody runs them"
        )
    if not request.is_fleetq and request.config:
        raise BadRequest("config= is for FLEET-Q pods; tell other programs in command= or env=")
