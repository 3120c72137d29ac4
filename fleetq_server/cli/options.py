"""Options that all commands of the fleet share, before or behind the command's name."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])

DEFAULT_CALL_TIMEOUT = 10.0


@dataclass(slots=True)
class Target:
    """Which fleet to talk to, and how to answer."""

    address: str | None = None
    store: str | None = None
    call_timeout: float = DEFAULT_CALL_TIMEOUT
    as_json: bool = False
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None
    token_file: str | None = None

    def given(self, name: str) -> str | None:
        """One of the options above: a flag beats the environment."""
        return getattr(self, name) or os.environ.get(f"FLEET_Q_{name.upper()}") or None

    def chosen(self) -> tuple[str | None, str | None]:
        """The address or the store to use: a flag beats the environment."""
        if self.address or self.store:
            return self.address, None if self.address else self.store
        return os.environ.get("FLEET_Q_ADDRESS") or None, None


target_of = click.make_pass_decorator(Target, ensure=True)


def fleet_options(function: Wrapped) -> Wrapped:
    """Adds --address, --store, --call-timeout and --json; `target_of` passes them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    # An option that was not given here may have been given before the command's name.
    if value is not None and param.name is not None:
        setattr(ctx.ensure_object(Target), param.name, value)
    return value


def _option(*names: str, **settings: Any) -> Callable[[Wrapped], Wrapped]:
    return click.option(*names, expose_value=False, callback=_keep, default=None, **settings)


_OPTIONS = (
    _option(
        "-a",
        "--address",
        metavar="HOST:PORT",
        help="A pod, or several with commas between. [env: FLEET_Q_ADDRESS]",
    ),
    _option("--store", metavar="URL", help="Find a pod by its store. [env: FLEET_Q_STORE]"),
    _option(
        "--call-timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help=f"The longest one call may take. [default: {DEFAULT_CALL_TIMEOUT:g}]",
    ),
    _option(
        "--ca",
        metavar="FILE",
        help="Talk TLS; who may have signed the pod's certificate, or `system`. [env: FLEET_Q_CA]",
    ),
    _option(
        "--certificate", metavar="FILE", help="One's own, if pods ask. [env: FLEET_Q_CERTIFICATE]"
    ),
    _option("--key", metavar="FILE", help="The key of --certificate. [env: FLEET_Q_KEY]"),
    _option(
        "--server-name",
        metavar="NAME",
        help="Who is in the pod's certificate, if not its address. [env: FLEET_Q_SERVER_NAME]",
    ),
    # Not the token itself: everybody on the host can read the command lines of all.
    _option(
        "--token-file",
        metavar="FILE",
        help="Where the token for the pods is. [env: FLEET_Q_TOKEN_FILE, or FLEET_Q_TOKEN itself]",
    ),
    _option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
)
