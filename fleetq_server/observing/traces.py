"""Every attempt a span, if the settings ask for it."""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from types import ModuleType

from fleetq_server.core.handlers import Handler, Mode
from fleetq_server.errors import ConfigError


def with_traces(handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
    """The same handlers, traced.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    tracing = _tracing()
    return {
        kind: replace(one, around=tracing.in_process)
        if one.mode is Mode.PROCESS
        else replace(one, function=tracing.traced(one.function))
        for kind, one in handlers.items()
    }


def _tracing() -> ModuleType:
    """It needs a library that is an extra."""
    try:
        return import_module("fleetq_server.tracing")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"traces=true needs {error.name}: pip install 'pytest-fleetq[otel]'"
        ) from error
