"""Judging others' silence by one's own clock: whoever's beat count has not moved for the
threshold is suspected. A jump of anybody's wall clock changes nothing."""

from collections.abc import Iterable

from fleetq_server.clock import Clock
from fleetq_server.model import Holder, HolderKey
from fleetq_server.store.base import Suspect


class Observer:
    def __init__(self, clock: Clock, threshold: float) -> None:
        self._clock = clock
        self._threshold = threshold
        self._seen: dict[HolderKey, tuple[int, float]] = {}
        self.overdue: tuple[
            Suspect, ...
        ] = ()  # silent for so long that no leader seems to see to it

    def look(self, holders: Iterable[Holder], leader_grace: float) -> list[Suspect]:
        """Those silent for the threshold."""
        now = self._clock.monotonic()
        seen: dict[HolderKey, tuple[int, float]] = {}
        for holder in holders:
            before = self._seen.get(holder.key)
            moved = before is None or before[0] != holder.beats
            seen[holder.key] = (holder.beats, now) if moved or before is None else before
        self._seen = seen
        self.overdue = tuple(self._silent(now, self._threshold + leader_grace))
        return self._silent(now, self._threshold)

    def _silent(self, now: float, seconds: float) -> list[Suspect]:
        return [
            Suspect(key, beats)
            for key, (beats, since) in self._seen.items()
            if now - since >= seconds
        ]
