"""Handlers: functions that run steps, found in modules by their decorator."""

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any, TypeVar

from fleetq_server.core.names import check_kind
from fleetq_server.errors import ConfigError

Function = TypeVar("Function", bound=Callable[..., Any])
_MARK = "__fleetq_handlers__"


class Mode(Enum):
    LOOP = "loop"  # a coroutine function, on the event loop
    THREAD = "thread"
    PROCESS = "process"  # for CPU work; needs process_workers


Around = Callable[[Callable[..., Any], Any], AbstractContextManager[Callable[..., Any]]]


@dataclass(frozen=True, slots=True)
class Handler:
    kind: str
    function: Callable[..., Any]
    mode: Mode
    # Of a process handler: entered in the pod, with the function and the attempt's context, for as
    # long as the attempt takes; gives the function that its process runs.
    around: Around | None = None


class PermanentError(Exception):
    """Raise it (or a subclass) in a handler: the step goes to the DLQ without another attempt."""


class InvalidPayload(PermanentError):
    """Raise it in a handler: the payload is not what this kind expects."""


def handler(kind: str, *, process: bool = False) -> Callable[[Function], Function]:
    """Makes a function the handler of a kind of steps.

    The function takes one Context and returns something JSON can carry, bytes, or None.
    `async def` runs on the pod's event loop, a plain `def` in a thread, with `process=True`
    in another process (a module-level function then; it cannot report progress). A coroutine
    that computes or waits without `await` holds up its pod: every call to it, the answer to the
    submit that brought the step among them. Only heartbeats go on.

    Raises:
        InvalidArgument: the kind is malformed.
    """
    check_kind(kind, "kind")

    def mark(function: Function) -> Function:
        if inspect.iscoroutinefunction(function):
            mode = Mode.LOOP
        else:
            mode = Mode.PROCESS if process else Mode.THREAD
        known: tuple[Handler, ...] = getattr(function, _MARK, ())
        setattr(function, _MARK, (*known, Handler(kind, function, mode)))
        return function

    return mark


def load_handlers(names: Iterable[str], more: Iterable[object] = ()) -> Mapping[str, Handler]:
    """The handlers of modules by name, and of further modules or functions, by kind.

    Raises:
        ConfigError: a module cannot be imported or has no handlers, or two handle one kind.
    """
    found: dict[str, Handler] = {}
    sources: list[tuple[str, object]] = [(name, _import(name)) for name in names]
    sources += [(getattr(source, "__name__", repr(source)), source) for source in more]
    for name, source in sources:
        here = _handlers_of(source)
        if not here:
            raise ConfigError(f"handlers: {name} has no function decorated with @handler(kind)")
        for one in here:
            other = found.setdefault(one.kind, one)
            if other.function is not one.function:
                both = f"{_place(other)} and by {_place(one)}"
                raise ConfigError(f"handlers: kind {one.kind!r} is handled by {both}: keep one")
    return found


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            raise ConfigError(
                f"handlers: no module {name!r}; run from its folder or set PYTHONPATH"
            ) from error
        raise ConfigError(f"handlers: importing {name} failed: {error}") from error
    except Exception as error:
        raise ConfigError(
            f"handlers: importing {name} failed: {type(error).__name__}: {error}"
        ) from error


def _handlers_of(source: object) -> list[Handler]:
    values = (
        [source] if callable(source) else [getattr(source, name) for name in sorted(dir(source))]
    )
    found: dict[str, Handler] = {}
    for value in values:
        # An instance or mock with a catch-all __getattr__ is not a handler.
        marks = getattr(value, "__dict__", {}).get(_MARK, ()) if callable(value) else ()
        found.update((one.kind, one) for one in marks)
    return list(found.values())


def _place(one: Handler) -> str:
    return f"{one.function.__module__}.{one.function.__qualname__}"
