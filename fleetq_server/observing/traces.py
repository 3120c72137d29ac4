"""Every attempt a span, if the settings ask for it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from fleetq_server.core.handlers import Handler, Mode
from fleetq_server.errors import ConfigError


def with_traces(handlers: Mapping[str, Handler]) -> Mapping[str, Handler]:
    """The same handlers, traced; those in processes of their own are left as they are.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    traced = _traced()
    return {
        kind: one if one.mode is Mode.PROCESS else replace(one, function=traced(one.function))
        for kind, one in handlers.items()
    }


def _traced() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The library is an extra."""
    try:
        tracing = import_module("fleetq_server.tracing")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"traces=true needs {error.name}: pip install 'pytest-fleetq[otel]'"
        ) from error
    traced: Callable[[Callable[..., Any]], Callable[..., Any]] = tracing.traced
    return traced
