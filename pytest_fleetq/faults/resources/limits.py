"""Resource limits of running processes: lowered, read back, and put back."""

import resource

from pytest_fleetq.faults.base import PodView


class Limits:
    """Soft limits only: raising a hard one again is a privilege."""

    def __init__(self, which: int, unit: str) -> None:
        self._which, self._unit = which, unit
        self._before: list[tuple[PodView, int, tuple[int, int]]] = []
        self._seen: dict[str, int] = {}

    def lower(self, pod: PodView, limit: int) -> None:
        soft, hard = resource.prlimit(pod.pid, self._which)
        if soft != resource.RLIM_INFINITY and soft <= limit:
            return  # it has no more than that already
        self._before.append((pod, pod.pid, (soft, hard)))
        resource.prlimit(pod.pid, self._which, (limit, hard))
        now, _ = resource.prlimit(pod.pid, self._which)
        if now == limit:
            self._seen[pod.name] = now

    def restore(self) -> None:
        while self._before:
            pod, pid, (soft, hard) = self._before[-1]
            if pod.alive and pod.pid == pid:  # one that began since has limits of its own
                resource.prlimit(pid, self._which, (soft, hard))
            self._before.pop()

    def effect(self) -> str | None:
        found = [f"{name}: at most {limit} {self._unit}" for name, limit in self._seen.items()]
        return ", ".join(found) or None
