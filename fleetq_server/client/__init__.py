"""The client of a FLEET-Q fleet.

    with Client("127.0.0.1:50051") as client:
        steps = client.submit("resize", [{"n": i} for i in range(500)])
        client.wait(steps, timeout=10).raise_for_failures()

`AsyncClient` is the same for asyncio. Errors are those of `fleetq_server.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fleetq_server.client.aio import AsyncClient
from fleetq_server.client.credentials import Tls
from fleetq_server.client.results import (
    Grant,
    Pod,
    StepOutcome,
    StepsFailed,
    TimedBeatReply,
    WaitResult,
)
from fleetq_server.client.sync import Client

if TYPE_CHECKING:
    from fleetq_server.client.worker import Worker

__all__ = [
    "AsyncClient",
    "Client",
    "Grant",
    "Pod",
    "StepOutcome",
    "StepsFailed",
    "TimedBeatReply",
    "Tls",
    "WaitResult",
    "Worker",
]


def __getattr__(name: str) -> object:
    if name == "Worker":
        return import_module("fleetq_server.client.worker").Worker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
