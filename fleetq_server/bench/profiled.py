"""`python -m fleetq_server.bench.profiled serve …`: a pod that writes down what it does.

A thread looks at all others a hundred times a second, and gives the processor time that each has
used since the last look to the stack it is found in. Threads that wait cost nothing, and are not
in the picture; nor are those of gRPC's own core, which have no Python stack. It gets to look when
another thread gives up the interpreter's lock, so what stands just before a wait is overrated.
"""

import os
import runpy
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

import psutil

from fleetq_server.bench.flames import Stack, write_stacks
from fleetq_server.bench.profiling import PER_SECOND, STACKS, STACKS_VARIABLE
from fleetq_server.cli.spawn import TETHERED

OUTERMOST = ("Handle._run", "Thread.run")  # what is outside of them is the same for all
LOOKS_PER_WRITE = 50  # so that a pod that is killed leaves almost all of it


class Sampler(threading.Thread):
    def __init__(self, path: Path) -> None:
        super().__init__(name="profiler", daemon=True)
        self._path = path
        self._process = psutil.Process()
        self._stacks: Counter[Stack] = Counter()
        self._ended = threading.Event()

    def end(self) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        before, looks = self._spent(), 0
        while not self._ended.wait(1 / PER_SECOND):
            before = self._look(before)
            looks += 1
            if looks % LOOKS_PER_WRITE == 0:
                write_stacks(self._stacks, self._path)
        write_stacks(self._stacks, self._path)

    def _look(self, before: dict[int, int]) -> dict[int, int]:
        frames = sys._current_frames()
        threads = {thread.ident: thread for thread in threading.enumerate()}
        now = self._spent()
        for ident, frame in frames.items():
            thread = threads.get(ident)
            if thread is None or thread is self:
                continue
            number = thread.native_id or 0
            spent = now.get(number, 0) - before.get(number, 0)
            if spent and (stack := stack_of(frame)):
                self._stacks[(thread.name, *stack)] += spent
        return now

    def _spent(self) -> dict[int, int]:
        """Milliseconds of processor time by native id."""
        return {
            thread.id: round(1000 * (thread.user_time + thread.system_time))
            for thread in self._process.threads()
        }


def stack_of(frame: FrameType | None) -> Stack:
    """Outermost first; empty while something is imported, which is no work of a pod."""
    found: list[str] = []
    while frame is not None and (code := frame.f_code).co_qualname not in OUTERMOST:
        if code.co_filename.startswith("<frozen importlib"):
            return ()
        found.append(f"{code.co_qualname} ({Path(code.co_filename).name}:{code.co_firstlineno})")
        frame = frame.f_back
    return tuple(reversed(found))


def main() -> None:
    sampler = Sampler(Path(os.environ[STACKS_VARIABLE]) / f"{os.getpid()}{STACKS}")
    sampler.start()
    try:
        runpy.run_module(TETHERED, run_name="__main__", alter_sys=True)
    finally:
        sampler.end()


if __name__ == "__main__":
    main()
