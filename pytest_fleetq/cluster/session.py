"""What all clusters of one process share: a folder, and the processes that start and end others."""

import fcntl
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from fleetq_server.client.loop import LoopShare
from pytest_fleetq.cluster.errors import ClusterError
from pytest_fleetq.cluster.ports import Ports, common_folder
from pytest_fleetq.cluster.spawner import Child, Spawner
from pytest_fleetq.cluster.users import Users

HAND_OVER_SECONDS = 10.0
RUN_ID = "FLEETQ_RUN_ID"  # in the environment of every process that is ours
OWNER = "owner"  # locked for as long as a run lives
KEPT = "kept"
FORK_SERVER = "fleetq_server.cli.forkserver"
REAPER = Path(__file__).with_name("reaper.py")


class Session:
    """Made on the first cluster; to be closed by whoever made it.

    Args:
        folder: Where the folder of this run is made; the user's own temporary one unless given.
        python_path: Where pods find handlers, besides what this process can import.
        lender: The session of this process whose ports and loop are used, if it has one already:
            closing a second `Ports` would give up the claims of the first.
    """

    def __init__(
        self,
        folder: Path | None = None,
        python_path: Sequence[Path] = (),
        lender: "Session | None" = None,
    ) -> None:
        self.run_id = uuid.uuid4().hex[:12]
        self.runs = folder or common_folder() / "runs"
        self.python_path = python_path
        self.runs.mkdir(parents=True, exist_ok=True)
        self.directory = self.runs / self.run_id
        with _alone(self.runs):  # or another run's sweep may find it without an owner yet
            sweep(self.runs)
            self.directory.mkdir()
            self._owner = _lock(self.directory / OWNER)
        self._keep = False
        self._counter = 0
        self._lender = lender
        self.ports: Ports = Ports() if lender is None else lender.ports
        self._reaper = Spawner(
            # -S and -I: nothing of the project's environment may keep it from starting.
            [sys.executable, "-I", "-S", str(REAPER), self.run_id, str(self.directory)],
            os.environ,
            self.directory / "reaper.log",
            pass_fds=[self._owner],
        )

    @cached_property
    def _fork_server(self) -> Spawner:
        command = [sys.executable, "-m", FORK_SERVER, str(os.getpid())]
        return Spawner(command, self.environment(), self.directory / "forkserver.log")

    @cached_property
    def loop(self) -> LoopShare:
        """On which all clients of this process live, the user's own too."""
        return LoopShare() if self._lender is None else self._lender.loop

    def fork(self, request: Mapping[str, object]) -> Child:
        """A FLEET-Q pod."""
        return self._fork_server.spawn(self._tagged(request))

    def execute(self, request: Mapping[str, object]) -> Child:
        """Any command."""
        return self._reaper.spawn(self._tagged(request))

    def make_directory(self, name: str) -> Path:
        self._counter += 1
        directory = self.directory / f"{name}-{self._counter}"
        directory.mkdir()
        return directory

    def keep(self) -> None:
        """What is in the folder then stays there, for people."""
        if not self._keep:
            self._keep = True
            (self.directory / KEPT).touch()
            self._reaper.tell({"keep": True})

    def hand_over(self, users: Users, link: Path) -> None:
        """Instead of `close`: the commands that run go on until their last user is gone."""
        about = {"users": str(users.path), "byte": users.byte + 1, "link": str(link)}
        child = self._reaper.spawn({"id": "users", **about})
        if not child.wait(lambda c: c.ready is not None, HAND_OVER_SECONDS):
            raise ClusterError("the processes of a shared cluster could not be handed over")
        self._reaper.let_go()
        os.close(self._owner)

    def close(self) -> None:
        if "_fork_server" in self.__dict__:
            self._fork_server.close()
        self._reaper.close()  # the last of all: it looks for what the others left
        if self._lender is None:
            if "loop" in self.__dict__:
                self.loop.stop()
            self.ports.close()
        os.close(self._owner)
        if not self._keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _tagged(self, request: Mapping[str, object]) -> dict[str, object]:
        env = request.get("env", {})
        assert isinstance(env, Mapping)
        self._counter += 1
        tag = {RUN_ID: self.run_id}
        return {**request, "id": f"{request['id']}/{self._counter}", "env": {**env, **tag}}

    def environment(self) -> dict[str, str]:
        here = os.environ.get("PYTHONPATH", "")
        # Last, so that no file of a project hides a module of the standard library.
        known = [entry or str(Path.cwd()) for entry in sys.path]
        path = [*known, here, *map(str, self.python_path)]
        joined = os.pathsep.join(dict.fromkeys(entry for entry in path if entry))
        return {**os.environ, "PYTHONPATH": joined, RUN_ID: self.run_id}


def sweep(runs: Path) -> None:
    """Removes the folders of runs that ended without being able to."""
    for run in runs.iterdir():
        if run.is_symlink() and not run.exists():
            run.unlink(missing_ok=True)
        owner = run / OWNER
        if (run / KEPT).exists() or not owner.exists():
            continue
        try:
            handle = _lock(owner)
        except OSError:
            continue  # it lives
        shutil.rmtree(run, ignore_errors=True)
        os.close(handle)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
