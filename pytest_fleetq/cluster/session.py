"""What all clusters of one process share: a folder, and the processes that start and end others."""

import fcntl
import os
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from fleetq_server.client.sync import LoopThread
from pytest_fleetq.cluster.ports import Ports, common_folder
from pytest_fleetq.cluster.spawner import Child, Spawner

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
    """

    def __init__(self, folder: Path | None = None, python_path: Sequence[Path] = ()) -> None:
        self.run_id = uuid.uuid4().hex[:12]
        self._python_path = [str(path) for path in python_path]
        runs = folder or common_folder() / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        sweep(runs)
        self.directory = runs / self.run_id
        self.directory.mkdir()
        self._owner = _lock(self.directory / OWNER)
        self._keep = False
        self._counter = 0
        self.ports = Ports()
        self._reaper = Spawner(
            # -S and -I: nothing of the project's environment may keep it from starting.
            [sys.executable, "-I", "-S", str(REAPER), self.run_id, str(self.directory)],
            os.environ,
            self.directory / "reaper.log",
        )

    @cached_property
    def _fork_server(self) -> Spawner:
        command = [sys.executable, "-m", FORK_SERVER]
        return Spawner(command, self._environment(), self.directory / "forkserver.log")

    @cached_property
    def loop(self) -> LoopThread:
        """On which all clients of this process live."""
        return LoopThread()

    def warm(self) -> None:
        """Starts the fork server now, in the background: it takes half a second once."""
        _ = self._fork_server

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

    def close(self) -> None:
        if "_fork_server" in self.__dict__:
            self._fork_server.close()
        self._reaper.close()  # the last of all: it looks for what the others left
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

    def _environment(self) -> dict[str, str]:
        here = os.environ.get("PYTHONPATH", "")
        # Last, so that no file of a project hides a module of the standard library.
        path = [*(entry or str(Path.cwd()) for entry in sys.path), here, *self._python_path]
        joined = os.pathsep.join(dict.fromkeys(entry for entry in path if entry))
        return {**os.environ, "PYTHONPATH": joined, RUN_ID: self.run_id}


def sweep(runs: Path) -> None:
    """Removes the folders of runs that ended without being able to."""
    for run in runs.iterdir():
        owner = run / OWNER
        if (run / KEPT).exists() or not owner.exists():
            continue
        try:
            handle = _lock(owner)
        except OSError:
            continue  # it lives
        shutil.rmtree(run, ignore_errors=True)
        os.close(handle)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
