"""Checks of the pods and workers registered in a store."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleetq_server.cli.diagnosis.check import Check, ok, warning
from fleetq_server.model import Holder, HolderStatus, HolderType, Leadership
from fleetq_server.store.base import Reader
from fleetq_server.store.peers import Presence

if TYPE_CHECKING:
    from fleetq_server.store.postgres.examine import PostgresExaminer

RUNNING = frozenset({HolderStatus.LIVE, HolderStatus.DRAINING})
LOOK_AGAIN = "the fleet sees to it within seconds; look again"
CLOCK_SLACK_SECONDS = 1.0
STARTING_SECONDS = 60.0
MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the store says of its holders, and the operating system of their processes."""

    holders: Sequence[Holder]
    leadership: Leadership
    lost: frozenset[str]  # registered as running, without a process
    left_behind: tuple[Path, ...] | None = None  # files of holders that are no more, where any are

    @property
    def running(self) -> list[Holder]:
        return [h for h in self.holders if h.status in RUNNING and h.holder_id not in self.lost]

    @property
    def pods(self) -> list[Holder]:
        return [holder for holder in self.running if holder.type is HolderType.POD]


def look(store: Reader, presence: Presence | None, folder: Path, now: float) -> Fleet:
    """`presence` None: the folder in which pods keep their locks does not exist."""
    holders = store.holders(include_ended=True)
    files = sorted(folder.iterdir()) if presence else []
    locks = {path.stem for path in files if path.suffix == ".lock"}

    def gone(holder_id: str) -> bool:
        return holder_id not in locks or _proven_dead(presence, holder_id)

    running = {holder.holder_id for holder in holders if holder.status in RUNNING}
    pods = {holder.holder_id for holder in holders if holder.type is HolderType.POD}
    lost = frozenset(holder_id for holder_id in running & pods if gone(holder_id))
    strays = [path for path in files if path.stem not in running]
    # A pod that starts makes its files before it registers, and must not find its lock taken.
    settled = [path for path in strays if path.stem in pods or _age(path, now) > STARTING_SECONDS]
    left_behind = tuple(path for path in settled if gone(path.stem))
    return Fleet(holders, store.leadership(), lost, left_behind)


def look_without_files(store: "PostgresExaminer") -> Fleet:
    holders = store.holders(include_ended=True)
    pods = [h.holder_id for h in holders if h.status in RUNNING and h.type is HolderType.POD]
    return Fleet(holders, store.leadership(), store.without_life(frozenset(pods)))


def check_fleet(fleet: Fleet, now: float, threshold: float) -> Iterator[Check]:
    """`threshold`: seconds of silence after which a holder is taken for dead."""
    yield _pods(fleet)
    yield _leader(fleet)
    yield _heartbeats(fleet, now, threshold)
    yield _clock(fleet, now)
    if fleet.left_behind is not None:
        yield _left_behind(fleet.left_behind)


def _pods(fleet: Fleet) -> Check:
    count = len(fleet.pods)
    told = f"{count} running" if count else "none running"
    if not fleet.lost:
        return ok("pods", told)
    finding = f"{told}; {_names(fleet.lost)} registered as running, but without a process"
    return warning("pods", finding, LOOK_AGAIN if count else "start a pod: it recovers their steps")


def _leader(fleet: Fleet) -> Check:
    leader, term = fleet.leadership.holder_id, fleet.leadership.term
    if not fleet.pods:
        return ok("leader", f"none, as no pod runs; the last term was {term}")
    if leader in {pod.holder_id for pod in fleet.pods}:
        return ok("leader", f"{_names([leader or ''])}, term {term}")
    return warning("leader", f"none, though pods run; the last term was {term}", LOOK_AGAIN)


def _heartbeats(fleet: Fleet, now: float, threshold: float) -> Check:
    silent = [holder for holder in fleet.running if now - holder.beat_at > threshold]
    if silent:
        longest = max(now - holder.beat_at for holder in silent)
        finding = f"none of {_names(h.holder_id for h in silent)} for {longest:,.1f} s"
        return warning("heartbeats", finding, "see whether the process hangs or is stopped")
    if not fleet.running:
        return ok("heartbeats", "nobody is there to beat")
    newest = max(holder.beat_at for holder in fleet.running)
    return ok("heartbeats", f"the last {max(0.0, now - newest):.1f} s ago")


def _clock(fleet: Fleet, now: float) -> Check:
    ahead = max((holder.beat_at - now for holder in fleet.holders), default=0.0)
    if ahead <= CLOCK_SLACK_SECONDS:
        return ok("clock", "no heartbeat lies in the future")
    finding = f"a heartbeat lies {ahead:,.1f} s in the future: the clock was set back"
    return warning("clock", finding, "steps due at a time start late by as much")


def _left_behind(files: Sequence[Path]) -> Check:
    if not files:
        return ok("left behind", "no files of dead processes")
    finding = f"{len(files)} files of dead processes"
    advice = f"harmless; they may be deleted: {files[0].parent}"
    return warning("left behind", finding, advice)


def _proven_dead(presence: Presence | None, holder_id: str) -> bool:
    with contextlib.suppress(OSError):  # another user's
        return presence is not None and presence.proven_dead(holder_id)
    return False


def _age(path: Path, now: float) -> float:
    with contextlib.suppress(FileNotFoundError):
        return now - path.stat().st_mtime
    return 0.0


def _names(holder_ids: Iterable[str]) -> str:
    ids = sorted(holder_ids)
    more = f" and {len(ids) - MOST_NAMES} more" if len(ids) > MOST_NAMES else ""
    return ", ".join(holder_id[:8] for holder_id in ids[:MOST_NAMES]) + more
