"""Runs `fleetq` in forks of itself, which has imported it: starting Python for each of a page's
dozens of commands would take longer than all they do. One JSON object a line asks for a command,
one line answers with its status."""

import importlib
import json
import os
import sys

from fleetq_server.cli.main import run

LOADED = (
    "fleetq_server.cli.connect",
    "fleetq_server.cli.discover",
    "fleetq_server.cli.doctor",
    "fleetq_server.cli.submit",
    "pytest_fleetq.perf.monitor.command",
)


def become(words: list[str], folder: str, variables: dict[str, str], outputs: list[str]) -> None:
    """This process is that command from now on."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    sys.argv = words
    run()
    sys.exit(0)


if __name__ == "__main__":
    for name in LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(**asked)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
