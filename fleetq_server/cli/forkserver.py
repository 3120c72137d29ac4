"""`python -m fleetq_server.cli.forkserver [OWNER]`: starts pods by fork, in milliseconds.

It has imported all that a pod needs and made no gRPC object and no thread, so that a fork of it is
a pod that only has to open its store. One JSON line on standard input starts one pod:

    {"id": "pod-0", "args": ["--store", "…"], "env": {"NAME": "value"}, "cwd": "…", "log": "…"}

and lines on standard output tell what became of it, each with the id: `forked` (pid, and the RULES
among its settings), `ready` (the pod's own ready line), `exit` (status as of a shell: 128 + n for
signal n is written as -n).
Each pod leads a process group of its own and logs to its file. When standard input ends, or the
process OWNER (its parent, unless given), every pod and everything they started is killed: this
process is their reaper.
"""

import ctypes
import gc
import json
import os
import selectors
import signal
import sys
from pathlib import Path
from typing import Any

import psutil

from fleetq_server.cli.serve import read_settings, run
from fleetq_server.config import Settings
from fleetq_server.hookspecs import installed

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STDIN, STDOUT, STDERR = 0, 1, 2
LOOK_SECONDS = 1.0
# What its pods are judged by in a test, where nobody need load all that reads settings.
RULES = ("claim_interval_seconds", "dead_pod_threshold_seconds", "max_crashes")


def main() -> None:
    _prctl(PR_SET_CHILD_SUBREAPER, 1)  # what a pod leaves behind becomes ours, and is found
    installed()
    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every page shared with the pods
    wake_reader, wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to handle
    owner = int(sys.argv[1]) if len(sys.argv) > 1 else os.getppid()
    try:
        _serve_requests(owner, wake_reader)
    finally:
        _kill_descendants()


def _serve_requests(owner: int, wake_reader: int) -> None:
    pods: dict[int, str] = {}
    selector = selectors.DefaultSelector()
    selector.register(STDIN, selectors.EVENT_READ)
    selector.register(wake_reader, selectors.EVENT_READ)
    unread = b""
    _tell({"event": "listening", "pid": os.getpid()})
    # A process forked by the owner may hold our pipe open: so its pid is watched as well.
    while os.getppid() == owner:
        for key, _ in selector.select(LOOK_SECONDS):
            if key.fd == wake_reader:
                os.read(wake_reader, 4096)
                _reap(pods)
                continue
            data = os.read(STDIN, 65536)
            if not data:
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                request = json.loads(line)
                pods[_fork(request)] = request["id"]


def _fork(request: dict[str, Any]) -> int:
    settings = _settings(request)
    owner = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        # By the pod itself: told by its parent, this could come after that it is ready.
        rules = {name: getattr(settings, name, None) for name in RULES}
        _tell({"id": request["id"], "event": "forked", "pid": os.getpid(), "settings": rules})
        _become_pod(request, owner)
        run(_sound(settings))
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        os.write(STDERR, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)  # never back into the fork server's own code


def _settings(request: dict[str, Any]) -> Settings | Exception:
    """Read before the fork: in a new process all of this would have to warm up again, at a third of
    what it costs to start a pod. What is wrong with them is the pod's to say, in its own log."""
    environ = {**os.environ, **request.get("env", {})}
    try:
        return read_settings(request["args"], environ, Path(request.get("cwd", ".")))
    except Exception as problem:
        return problem


def _sound(settings: Settings | Exception) -> Settings:
    if isinstance(settings, Exception):
        raise settings
    return settings


def _become_pod(request: dict[str, Any], owner: int) -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner:
        os._exit(1)  # it died in between
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(
            number, signal.SIG_DFL if number == signal.SIGCHLD else signal.default_int_handler
        )
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, STDERR)
    os.dup2(os.open(os.devnull, os.O_RDONLY), STDIN)
    os.environ.update(request.get("env", {}))
    os.chdir(request.get("cwd", "."))
    sys.stdout = _Ready(request["id"], log)


class _Ready:
    """A pod's standard output: its ready line goes to the owner with the pod's id, anything else,
    such as a handler's print, to the log."""

    encoding = "utf-8"

    def __init__(self, pod: str, log: int) -> None:
        self._pod = pod
        self._log = log

    def write(self, text: str) -> int:
        if text.startswith('{"event": "ready"'):
            _tell({"id": self._pod, **json.loads(text)})
        else:
            os.write(self._log, text.encode())
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def _reap(pods: dict[int, str]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid in pods:
            _tell(
                {"id": pods.pop(pid), "event": "exit", "status": os.waitstatus_to_exitcode(status)}
            )


def _kill_descendants() -> None:
    for _ in range(10):  # one that was just being started is found in the next round
        children = psutil.Process().children(recursive=True)
        if not children:
            return
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(children, timeout=2)


def _tell(line: dict[str, Any]) -> None:
    """In one write, so that lines of several pods never mix."""
    try:
        os.write(STDOUT, json.dumps(line).encode() + b"\n")
    except BrokenPipeError:
        return  # the owner is gone; standard input ends as well


def _prctl(option: int, value: int) -> None:
    try:
        ctypes.CDLL(None).prctl(option, value)
    except (OSError, AttributeError):
        return  # not Linux: the end of standard input has to do


if __name__ == "__main__":
    main()
