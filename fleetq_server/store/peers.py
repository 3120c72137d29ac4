"""What pods tell each other beside what is written in the store: that they live, and that there is
something to do."""

from collections.abc import Callable, Collection
from typing import Protocol


class Presence(Protocol):
    """Proof of life between pods, kept by the operating system or the database: it ends with
    the process, whatever the process was doing."""

    def hold(self, holder_id: str) -> None:
        """From now on this process lives as `holder_id`."""
        ...

    def guard(self, unproven: Callable[[float], None], proven: Callable[[], None]) -> None:
        """For a proof that can get lost while the process lives: `unproven` is called, in some
        thread, with the monotonic time from which on others may take it for dead; `proven` when
        it is proven again."""
        ...

    def proven_dead(self, holder_id: str) -> bool:
        """True only with proof; False when alive or not known."""
        ...

    def watch(self, holder_id: str, on_death: Callable[[], None]) -> Callable[[], None] | None:
        """Calls `on_death` on the event loop when the holder's process ends. → a function that
        stops watching, or None if it cannot be watched (already dead)."""
        ...

    def tidy(self, keep: Collection[str]) -> None:
        """Removes what dead holders left behind, except for those to `keep`."""
        ...

    def forget(self, holder_id: str) -> None:
        """Removes what a dead holder left behind."""
        ...

    def close(self) -> None: ...


class Doorbell(Protocol):
    """Wakes other pods without a write to the store. A lost ring costs delay, never work."""

    def ring(self) -> None:
        """Tells every other pod that something may be claimable."""
        ...

    def alert(self, holder_ids: Collection[str] | None = None) -> None:
        """Tells these pods, or every other one, that the fleet has news for them besides work:
        a step to cancel, a pod that joined. What it costs if lost is the same."""
        ...

    def listen(self, on_ring: Callable[[], None], on_alert: Callable[[], None]) -> None:
        """Calls these on the event loop from now on."""
        ...

    def close(self) -> None: ...
