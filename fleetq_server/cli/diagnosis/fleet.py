"""Checks of the pods and workers registered in a store."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fleetq_server.cli.diagnosis.check import Check, ok, warning
from fleetq_server.clock import Clock
from fleetq_server.model import Holder, HolderStatus, HolderType, Leadership
from fleetq_server.store.base import Presence

RUNNING = frozenset({HolderStatus.LIVE, HolderStatus.DRAINING})
LOOK_AGAIN = "the fleet sees to it within seconds; look again"
CLOCK_SLACK_SECONDS = 1.0


class Fleet:
    """What the store says of its holders, and what the operating system says of their processes."""

    def __init__(
        self,
        holders: Sequence[Holder],
        leadership: Leadership,
        presence: Presence | None,
        left: Iterable[Path],
        *,
        now: float,
        threshold: float,
    ) -> None:
        self._running = [holder for holder in holders if holder.status in RUNNING]
        self._pods = [holder for holder in self._running if holder.type is HolderType.POD]
        self._leadership = leadership
        self._presence = presence
        self._left = list(left)
        self._now = now
        self._threshold = threshold
        self._lost = [pod for pod in self._pods if self._is_dead(pod)]

    def check(self) -> Iterator[Check]:
        yield self._check_pods()
        yield self._check_leader()
        yield self._check_beats()
        yield self._check_clocks()
        yield self._check_left_behind()

    def _is_dead(self, pod: Holder) -> bool:
        return self._presence is None or self._presence.proven_dead(pod.holder_id)

    def _check_pods(self) -> Check:
        alive = len(self._pods) - len(self._lost)
        if not self._lost:
            return ok("pods", f"{alive} running" if alive else "none running")
        finding = f"{_names(self._lost)} registered as running, but the process is gone"
        if alive:
            return warning("pods", f"{finding}; {alive} running", LOOK_AGAIN)
        return warning("pods", finding, "start a pod: it takes over what they held")

    def _check_leader(self) -> Check:
        leader, term = self._leadership.holder_id, self._leadership.term
        alive = {pod.holder_id for pod in self._pods} - {pod.holder_id for pod in self._lost}
        if not alive:
            return ok("leader", f"none, as no pod runs; the last term was {term}")
        if leader in alive:
            return ok("leader", f"{leader[:8]}, term {term}")
        return warning("leader", f"none, though pods run; the last term was {term}", LOOK_AGAIN)

    def _check_beats(self) -> Check:
        alive = [holder for holder in self._running if holder not in self._lost]
        silent = [each for each in alive if self._now - each.beat_at > self._threshold]
        if silent:
            oldest = max(self._now - each.beat_at for each in silent)
            finding = f"{_names(silent)} silent for up to {oldest:,.1f} s"
            return warning("heartbeats", finding, "see whether it hangs or its machine is stopped")
        if not alive:
            return ok("heartbeats", "nobody to beat")
        newest = max(each.beat_at for each in alive)
        return ok("heartbeats", f"the last one {max(0.0, self._now - newest):.1f} s ago")

    def _check_clocks(self) -> Check:
        ahead = [h for h in self._running if h.beat_at > self._now + CLOCK_SLACK_SECONDS]
        if not ahead:
            return ok("clock", "no heartbeat lies in the future")
        by = max(holder.beat_at for holder in ahead) - self._now
        finding = f"the last heartbeat of {_names(ahead)} lies {by:,.1f} s in the future"
        return warning("clock", finding, "the clock was set back: scheduled steps start late")

    def _check_left_behind(self) -> Check:
        known = {holder.holder_id for holder in self._running}
        strays = [path for path in self._left if path.stem not in known]
        # One that is starting has its files before it is registered.
        dead = {path.stem for path in strays if self._presence and self._proven(path.stem)}
        mine = [path for path in strays if path.stem in dead or path.suffix != ".lock"]
        mine = [path for path in mine if path.stem in dead or not _has_lock(path)]
        if not mine:
            return ok("left behind", "no files of dead processes")
        finding = f"{len(mine)} files of dead processes in {mine[0].parent.name}"
        return warning("left behind", finding, "harmless; they may be deleted")

    def _proven(self, holder_id: str) -> bool:
        return self._presence is not None and self._presence.proven_dead(holder_id)


def running(clock: Clock) -> float:
    return clock.now()


def _has_lock(path: Path) -> bool:
    return path.with_suffix(".lock").exists()


def _names(holders: Sequence[Holder]) -> str:
    names = ", ".join(holder.holder_id[:8] for holder in holders[:3])
    more = f" and {len(holders) - 3} more" if len(holders) > 3 else ""
    return f"{names}{more}"
