"""From the options to a client."""

from importlib import import_module

from fleetq_server.cli.options import Target
from fleetq_server.client import Client
from fleetq_server.client.credentials import credentials

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
        addresses, timeout=target.call_timeout, patience=PATIENCE, **credentials(target.given)
    )
