"""Helper processes end with the process that started them, whatever that dies of.

    python tether.py PARENT COMMAND …      runs a command that knows nothing of this

The parent's death is watched through its pid, not by PR_SET_PDEATHSIG: that one fires already when
the *thread* that started us ends, and faults may be started from any thread. Nor is the end of a
pipe enough: any process forked meanwhile holds the pipe open too.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LOOK_SECONDS = 0.2
PR_SET_PDEATHSIG = 1


_ROOT = str(Path(__file__).parents[2])


def own_module(module: str, *args: str) -> list[str]:
    """A command that runs a module of this package, whatever lies in the current folder or in
    PYTHONPATH, and whether or not the package is installed."""
    run = f"runpy.run_module({module!r}, run_name='__main__')"
    code = f"import runpy, sys; sys.path.append({_ROOT!r}); {run}"
    return [sys.executable, "-I", "-c", code, *args]


def tethered(command: Sequence[str]) -> list[str]:
    """The command, to be started by this process, that will not outlive it."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def await_end(parent: int) -> None:
    """Returns when the process that started us has ended."""
    try:
        handle = os.pidfd_open(parent)
    except (AttributeError, OSError):  # not on Linux, or it is gone already
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        return
    # Whoever has another parent by now would watch a stranger of the same number.
    if os.getppid() == parent:
        select.select([handle], [], [])
    os.close(handle)


def end_with_parent(parent: int, end: Callable[[], object] = lambda: os._exit(1)) -> None:
    """From now on, in the background: `end` is called when our parent dies."""

    def watch() -> None:
        await_end(parent)
        end()

    threading.Thread(target=watch, name="tether", daemon=True).start()


def _die_with_us() -> None:
    # Here it is right: the thread that starts the command is the main one and waits for it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent, *words = sys.argv[1:]
    with subprocess.Popen(words, preexec_fn=_die_with_us) as command:  # noqa: PLW1509 - one thread
        signal.signal(signal.SIGTERM, lambda *_: command.terminate())
        end_with_parent(int(parent), command.terminate)
        return command.wait()


if __name__ == "__main__":
    sys.exit(main())
