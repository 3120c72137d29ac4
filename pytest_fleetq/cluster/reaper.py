"""`python reaper.py RUN_ID DIRECTORY`: starts commands, and ends whatever a test run leaves behind.

It speaks the fork server's protocol. One JSON line on standard input starts one process:

    {"id": "pod-0", "args": ["redis-server"], "env": {"NAME": "value"}, "cwd": "…", "log": "…"}

and `{"keep": true}` has it leave the directory. Lines on standard output tell, with the id:
`forked` (pid), `failed` (error: it could not be started), `exit` (status, -n for signal n).

`{"id": "…", "users": "FILE", "byte": N, "link": "LINK"}` has it outlive its owner for as long as
any process has a lock on that byte of the file; it answers `ready`, and finally removes the link.

When standard input ends, or the process that started us does, it kills first its own descendants
(it is their subreaper, so a double fork hides nobody), then every process whose environment carries
FLEETQ_RUN_ID=RUN_ID, which finds what the fork server's pods left when that was killed itself, and
removes the directory. Only the standard library: it must be up in milliseconds, and import nothing
that could fail.
"""

import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 1.0
USERS_LOOK_SECONDS = 0.05
ROUNDS = 50
PROC = Path("/proc")


class Reaper:
    def __init__(self, run_id: str, directory: Path) -> None:
        self._tag = f"FLEETQ_RUN_ID={run_id}".encode()
        self._directory = directory
        self._keep = False
        self._owner = os.getppid()
        self._users: tuple[int, int] | None = None  # file and byte
        self._link: Path | None = None
        self._running: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}

    def run(self) -> None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # it ends after its owner, never before
        woken = self._wake_on_child()
        tell({"event": "listening", "pid": os.getpid()})
        try:
            self._listen(woken)
        finally:
            self._end_all()

    def _wake_on_child(self) -> int:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return reader

    def _listen(self, woken: int) -> None:
        selector = selectors.DefaultSelector()
        for source in (0, woken):
            selector.register(source, selectors.EVENT_READ)
        unread = b""
        while self._is_wanted():
            for key, _ in selector.select(USERS_LOOK_SECONDS if self._users else LOOK_SECONDS):
                data = os.read(key.fd, 65536)
                if key.fd == woken:
                    self._collect()
                    continue
                if not data:
                    if self._users is None:
                        return
                    selector.unregister(0)
                *lines, unread = (unread + data).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))

    def _is_wanted(self) -> bool:
        if self._users is None:
            # A process forked by the owner may hold our pipe open: so its pid is watched as well.
            return os.getppid() == self._owner
        try:
            fcntl.lockf(self._users[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._users[1])
        except OSError:
            return True
        return False

    def _obey(self, request: dict[str, Any]) -> None:
        if "keep" in request:
            self._keep = bool(request["keep"])
            return
        if "users" in request:
            self._users = os.open(request["users"], os.O_RDWR), request["byte"]
            self._link = Path(request["link"])
            tell({"id": request["id"], "event": "ready"})
            return
        try:
            popen = spawn(request)
        except OSError as error:
            tell({"id": request["id"], "event": "failed", "error": str(error)})
            return
        self._running[popen.pid] = (request["id"], popen)
        tell({"id": request["id"], "event": "forked", "pid": popen.pid})

    def _collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            known = self._running.pop(pid, None)
            if known:
                code = os.waitstatus_to_exitcode(status)
                known[1].returncode = code  # or its destructor would warn
                tell({"id": known[0], "event": "exit", "status": code})

    def _end_all(self) -> None:
        for attempt in range(ROUNDS):  # what was just being started is found in the next round
            tagged = set(self._tagged())
            # Whoever cleared its environment is still below one that did not.
            victims = (tagged | descendants({os.getpid(), *tagged})) - {os.getpid()}
            for pid in victims:
                kill(pid)
            self._collect()
            if not victims:
                break
            time.sleep(0.002 * (attempt + 1))
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        if not self._keep:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _tagged(self) -> Iterator[int]:
        for pid in pids():
            try:
                environment = (PROC / str(pid) / "environ").read_bytes()
            except OSError:
                continue
            if self._tag in environment.split(b"\0"):
                yield pid


def spawn(request: dict[str, Any]) -> "subprocess.Popen[bytes]":
    owner = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != owner:
            os._exit(1)  # it died in between
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)

    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        return subprocess.Popen(
            request["args"],
            cwd=request.get("cwd"),
            env={**os.environ, **request.get("env", {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - we have no threads
        )
    finally:
        os.close(log)


def descendants(roots: set[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, parent in parents():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def pids() -> Iterator[int]:
    try:
        names = [entry.name for entry in PROC.iterdir()]
    except OSError:
        return
    yield from (int(name) for name in names if name.isdigit())


def parents() -> Iterator[tuple[int, int]]:
    """(pid, its parent's) of all that is not dead yet."""
    if not PROC.is_dir():
        yield from _parents_by_ps()
        return
    for pid in pids():
        try:
            text = (PROC / str(pid) / "stat").read_text()
        except OSError:
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        if state not in "ZX":
            yield pid, int(parent)


def _parents_by_ps() -> Iterator[tuple[int, int]]:
    listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return  # gone already, or not ours


def prctl(option: int, value: int) -> None:
    try:
        ctypes.CDLL(None).prctl(option, value)
    except (OSError, AttributeError):
        return  # not Linux: the end of standard input has to do


def tell(line: dict[str, Any]) -> None:
    try:
        os.write(1, json.dumps(line).encode() + b"\n")
    except BrokenPipeError:
        return  # the owner is gone; standard input ends as well


if __name__ == "__main__":
    Reaper(sys.argv[1], Path(sys.argv[2])).run()
