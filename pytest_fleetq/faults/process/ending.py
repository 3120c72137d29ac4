"""Pods that were made to end, the proof that they did, and how they come back."""

from collections.abc import Callable
from functools import partial

from pytest_fleetq.faults.base import PodView
from pytest_fleetq.faults.proc import is_gone, stat
from pytest_fleetq.faults.waiting import until


class Ended:
    def __init__(self) -> None:
        self._pods: list[tuple[PodView, int, int]] = []  # with its pid, and when that was born

    def watch(self, pod: PodView) -> bool:
        """Remembers the process as it is now. → whether there is one"""
        found = stat(pod.pid) if pod.alive else None
        if found is None:
            return False
        self._pods.append((pod, pod.pid, found.born))
        return True

    def end(self, pod: PodView, how: Callable[[PodView], None]) -> None:
        if self.watch(pod):
            how(pod)

    def gone(self) -> list[str]:
        return [f"{pod.name} (pid {pid})" for pod, pid, born in self._pods if is_gone(pid, born)]

    def effect(self, what: str) -> str | None:
        found = self.gone()
        return f"{what}: {', '.join(found)}" if found else None

    def start_again(self) -> None:
        for pod, pid, born in self._pods:
            if pod.pid == pid and is_gone(pid, born):
                # Its first thread is gone; the others, and the news of it, may need a moment.
                until(partial(_is_over, pod, pid), f"{pod.name} has ended", 10.0)
            if not pod.alive:
                pod.start()


def _is_over(pod: PodView, pid: int) -> bool:
    return not pod.alive or pod.pid != pid  # somebody else may have started it again
