"""What a plugin can add to a pod.

A plugin is a module or object with functions of these names, each marked with `hookimpl`, and
announced by its distribution under the entry-point group `fleetq`:

    [project.entry-points.fleetq]
    mine = "my_package.fleetq_plugin"

A function may leave out arguments it does not need.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from fleetq_server.model import Event
from fleetq_server.store.base import Store

if TYPE_CHECKING:
    from grpc.aio import ServerInterceptor

GROUP = "fleetq"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class PodHooks(Protocol):
    """The hooks a pod calls."""

    @hookspec
    def fleetq_handlers(self) -> Iterable[Callable[..., object]]:
        """Handlers to run besides those the setting `handlers` names; asked once, at start.

        → functions marked with `@handler("kind")`.
        """
        ...

    @hookspec
    def fleetq_store_schemes(self) -> Mapping[str, Callable[..., Store]]:
        """Kinds of store besides the built-in ones; asked once, at start.

        → for each URL scheme a function that opens such a store, called with the whole URL and,
        by keyword, at least `clock`, `rng` and `max_crashes`; it should ignore keywords it does
        not know. It raises StoreRefused if the store must not be used, StoreUnavailable if it
        cannot be reached.
        """
        ...

    @hookspec
    def fleetq_observe_event(self, event: Event) -> None:
        """Told of each event of the fleet, in order of `event.seq`, after it was committed.

        Called on the event loop, so it must not block; events of a time when the pod was not
        running are not told. What it raises is logged and otherwise ignored.
        """
        ...

    @hookspec
    def fleetq_grpc_interceptors(self) -> "Sequence[ServerInterceptor[Any, Any]]":
        """Interceptors for the pod's gRPC server, outermost first; asked once, at start.

        They run inside FLEET-Q's own, so what they raise becomes a proper status.
        """
        ...


def plugin_manager() -> pluggy.PluginManager:
    """A manager with every installed plugin of the entry-point group `fleetq` loaded."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(PodHooks)
    for found in installed():
        if not manager.has_plugin(found.name):
            manager.register(found.load(), found.name)
    manager.check_pending()
    return manager


@cache
def installed() -> Sequence[EntryPoint]:
    """The plugins there are, not loaded. To look through all distributions takes milliseconds."""
    return tuple(entry_points(group=GROUP))
