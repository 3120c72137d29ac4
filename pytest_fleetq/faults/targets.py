"""Which pods a fault hits, by words.

"leader"            the pod that leads now
"all"               every pod, also one that does not run
"minority"          fewer than half of the pods, as many as possible, by chance
"majority"          more than half, as few as possible, by chance
"random:N"          N of the running pods, by chance ("random" is one)
"pod-1", 1          by name or index
a pod, or a list    of any of these
"""

from collections.abc import Iterable, Sequence
from random import Random
from typing import TypeAlias

from pytest_fleetq.faults.base import FleetView, PodView
from pytest_fleetq.faults.errors import BadTarget
from pytest_fleetq.faults.names import counted

Target: TypeAlias = "str | int | PodView | Iterable[Target]"

WORDS = "leader, all, minority, majority, random:N, pod-N, an index, a pod, or a list of these"


def choose(fleet: FleetView, target: Target, rng: Random) -> list[PodView]:
    """The pods meant, each once, in the fleet's order. Raises: BadTarget."""
    chosen = _choose(fleet, target, rng)
    if not chosen:
        raise BadTarget(f"target {target!r} chooses no pod")
    return [pod for pod in fleet.pods if any(pod is one for one in chosen)]


def _choose(fleet: FleetView, target: object, rng: Random) -> Sequence[PodView]:
    if isinstance(target, str):
        return _by_word(fleet, target, rng)
    if isinstance(target, int) and not isinstance(target, bool):
        return [_by_index(fleet, target)]
    for pod in fleet.pods:
        if pod is target:
            return [pod]
    if isinstance(target, Iterable):
        return [pod for one in target for pod in _choose(fleet, one, rng)]
    if hasattr(target, "is_fleetq"):
        raise BadTarget(f"{target!r} is not a pod of this cluster{_there_is(fleet)}")
    raise BadTarget(f"no pod can be meant by {target!r}: say {WORDS}")


def _by_word(fleet: FleetView, word: str, rng: Random) -> Sequence[PodView]:
    size = len(fleet.pods)
    match word.partition(":"):
        case ("leader", "", ""):
            return [fleet.leader]
        case ("all", "", ""):
            return fleet.pods
        case ("minority", "", ""):
            return _some(fleet.pods, (size - 1) // 2, word, rng)
        case ("majority", "", ""):
            return _some(fleet.pods, size // 2 + 1, word, rng)
        case ("random", "", ""):
            return _random(fleet, 1, word, rng)
        case ("random", ":", number) if number.isdecimal() and int(number) > 0:
            return _random(fleet, int(number), word, rng)
    found = [pod for pod in fleet.pods if pod.name == word]
    if not found:
        raise BadTarget(f"no pod can be meant by {word!r}: say {WORDS}{_there_is(fleet)}")
    return found


def _random(fleet: FleetView, number: int, word: str, rng: Random) -> Sequence[PodView]:
    return _some([pod for pod in fleet.pods if pod.alive], number, word, rng, "running ")


def _some(
    pods: Sequence[PodView], number: int, word: str, rng: Random, kind: str = ""
) -> Sequence[PodView]:
    if not 0 < number <= len(pods):
        raise BadTarget(
            f"target {word!r}: there is no such thing among {counted(len(pods), kind + 'pod')}"
        )
    return rng.sample(list(pods), number)


def _by_index(fleet: FleetView, index: int) -> PodView:
    if not 0 <= index < len(fleet.pods):
        raise BadTarget(f"there is no pod {index}{_there_is(fleet)}")
    return fleet.pods[index]


def _there_is(fleet: FleetView) -> str:
    return f"; this cluster has {', '.join(pod.name for pod in fleet.pods)}"
