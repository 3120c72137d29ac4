"""A pod as a process of its own, for tests of what talks to it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fleetq_server

ROOT = Path(fleetq_server.__file__).parents[1]
BOUND = 20.0

HANDLERS = """
import asyncio
from fleetq_server.core.handlers import handler

@handler("double")
async def double(context):
    return context.json()["n"] * 2

@handler("fails")
async def fails(context):
    raise ValueError("as it should")
"""


class RealPod:
    """Its address and process; `stop`, `go_on` and `kill` are the signals."""

    def __init__(self, process: "subprocess.Popen[str]", ready: dict[str, str]) -> None:
        self.process = process
        self.pod_id = ready["pod_id"]
        self.address = ready["address"]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(BOUND)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@contextmanager
def real_pod(directory: Path, *flags: str, handlers: str = HANDLERS) -> Iterator[RealPod]:
    """A running pod on the store `fleet.db` of a directory; its log is beside it."""
    (directory / "pod_handlers.py").write_text(handlers)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{directory}"}
    command = [sys.executable, "-m", "fleetq_server.cli.main", "serve"]
    command += ["--store", f"sqlite:///{directory / 'fleet.db'}", "--handlers", "pod_handlers"]
    with (directory / "pod.log").open("a") as log:
        process = subprocess.Popen(
            [*command, *flags],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            cwd=directory,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"no pod: {(directory / 'pod.log').read_text()[-2000:]}"
        yield RealPod(process, json.loads(line))
    finally:
        process.kill()
        process.wait(BOUND)
        process.stdout.close()
