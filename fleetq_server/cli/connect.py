"""From the options to a client."""

import os
from importlib import import_module
from pathlib import Path

from fleetq_server.cli.options import Target
from fleetq_server.client import Client, Tls

PATIENCE = 3.0  # for pods that do not answer: a person is waiting


def connect(target: Target) -> Client:
    """A client of the fleet the options name.

    Raises:
        InvalidArgument: the address is malformed.
        ConfigError, NoPodReachable: the store leads to no pod, or a file to no credentials.
    """
    address, store = target.chosen()
    # Settings and stores take long to import, and are not needed when there is an address.
    addresses: str | list[str] = address or import_module(
        "fleetq_server.cli.discover"
    ).pod_addresses(store)
    return Client(
        addresses,
        timeout=target.call_timeout,
        patience=PATIENCE,
        tls=_tls(target),
        token=_token(target),
        allow_insecure=os.environ.get("FLEET_Q_ALLOW_INSECURE", "").lower() in ("1", "true"),
    )


def _tls(target: Target) -> Tls | None:
    ca, certificate, key = map(target.given, ("ca", "certificate", "key"))
    if not (ca or certificate or key):
        return None
    return Tls(None if ca == "system" else ca, certificate, key, target.given("server_name"))


def _token(target: Target) -> str | Path | None:
    file = target.given("token_file")
    return Path(file) if file else os.environ.get("FLEET_Q_TOKEN") or None
