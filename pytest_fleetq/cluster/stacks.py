"""What pods are doing at this moment, for a test that hangs."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from pytest_fleetq.cluster.pod import Pod

STACKS = signal.SIGUSR2  # a FLEET-Q pod answers it in its log
ANSWER_SECONDS = 0.5
LOOK_SECONDS = 0.01


def doing(pod: Pod) -> str:
    """Its state as the kernel sees it; of a FLEET-Q pod also the stacks of its threads."""
    if not pod.alive:
        return pod.about_its_end()
    try:
        process = psutil.Process(pod.pid)
        state = process.status()
        told = f"pid {pod.pid}, {state}, {_cpu(process):.2f} s of CPU\n{_threads(pod.pid)}"
    except psutil.Error:
        return pod.about_its_end()
    stacks = _stacks(pod) if pod.is_fleetq and state != psutil.STATUS_STOPPED else ""
    return f"{told}\n{stacks}".rstrip()


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _threads(pid: int) -> str:
    """Where each thread waits inside the kernel, the same ones together."""
    places: dict[str, int] = {}
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            place = (task / "wchan").read_text().strip("0") or "runs, or cannot be told"
            places[place] = places.get(place, 0) + 1
    return "\n".join(f"{number} × {place}" for place, number in sorted(places.items()))


def _stacks(pod: Pod) -> str:
    begin = pod.log.stat().st_size
    with suppress(ProcessLookupError):
        os.kill(pod.pid, STACKS)
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline and "most recent call first" not in pod.log_from(begin):
        time.sleep(LOOK_SECONDS)
    return pod.log_from(begin)
