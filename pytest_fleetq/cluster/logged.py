"""FLEET-Q pods as plain commands, for clusters that outlive the process that starts them: a fork
server would end with it, and take its pods along."""

import json
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_fleetq.cluster.session import Session
from pytest_fleetq.cluster.spawner import Child

POD = (sys.executable, "-m", "fleetq_server.cli.main", "serve")
READY = '{"event": "ready"'
LOOK_SECONDS = 0.01


class LoggedSession(Session):
    """A second session beside one that this process has."""

    def __init__(self, first: Session) -> None:
        super().__init__(first.runs, first.python_path, lender=first)

    def fork(self, request: Mapping[str, Any]) -> Child:
        env = {**self.environment(), **request["env"]}
        child = self.execute({**request, "args": [*POD, *request["args"]], "env": env})
        about = (child, Path(request["log"]))
        threading.Thread(target=self._listen, args=about, name="fleetq-ready", daemon=True).start()
        return child

    def _listen(self, child: Child, log: Path) -> None:
        while not child.wait(lambda c: c.over, LOOK_SECONDS):
            if ready := _ready_line(log):
                self._reaper.hear({**json.loads(ready), "id": child.name})
                return


def _ready_line(log: Path) -> str:
    """A pod's first line is there for its owner to read; here it is in the log."""
    if log.exists():
        for line in log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith(READY) and line.endswith("\n"):
                return line
    return ""
