"""FLEET-Q: a work queue of equal pods that share nothing but a store."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetq_server.core.context import Context
    from fleetq_server.core.handlers import InvalidPayload, PermanentError, handler

__version__ = "0.1.0"

__all__ = ["Context", "InvalidPayload", "PermanentError", "__version__", "handler"]

_HOMES = {
    "Context": "fleetq_server.core.context",
    "InvalidPayload": "fleetq_server.core.handlers",
    "PermanentError": "fleetq_server.core.handlers",
    "handler": "fleetq_server.core.handlers",
}


def __getattr__(name: str) -> object:
    """Imported on first use: `fleetq --help` and the pytest plugin need none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
