from collections.abc import Callable, Mapping

import pluggy
import pytest

from fleetq_server.hookspecs import hookimpl, plugin_manager
from fleetq_server.model import Event
from fleetq_server.store.base import Store

EVENT = Event(1, 2.0, "submitted", "default", None, None, (), {})


def test_a_plugin_may_leave_out_hooks_and_arguments() -> None:
    seen: list[str] = []

    class Plugin:
        @hookimpl
        def fleetq_observe_event(self, event: Event) -> None:
            seen.append(event.type)

    class Counter:
        @hookimpl
        def fleetq_observe_event(self) -> None:
            seen.append("one more")

    manager = plugin_manager()
    manager.register(Plugin())
    manager.register(Counter())
    manager.hook.fleetq_observe_event(event=EVENT)
    assert sorted(seen) == ["one more", "submitted"]
    assert manager.hook.fleetq_handlers() == []


def test_contributions_of_several_plugins_are_all_there() -> None:
    def opener(url: str) -> Store:
        raise NotImplementedError(url)

    class Stores:
        def __init__(self, scheme: str) -> None:
            self.scheme = scheme

        @hookimpl
        def fleetq_store_schemes(self) -> Mapping[str, Callable[..., Store]]:
            return {self.scheme: opener}

    manager = plugin_manager()
    manager.register(Stores("a"))
    manager.register(Stores("b"))
    schemes = {k: v for each in manager.hook.fleetq_store_schemes() for k, v in each.items()}
    assert schemes == {"a": opener, "b": opener}


def test_a_hook_that_does_not_exist_is_refused() -> None:
    class Mistaken:
        @hookimpl
        def fleetq_observe_evnt(self, event: Event) -> None: ...

    manager = plugin_manager()
    manager.register(Mistaken())
    with pytest.raises(pluggy.PluginValidationError, match="fleetq_observe_evnt"):
        manager.check_pending()
