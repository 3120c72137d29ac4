"""Keeps one server for all processes of a test session, and ends it with the last of them.

    python -m pytest_fleetq.postgres.keeper FOLDER

Whoever uses the server keeps FOLDER/users open for writing; the kernel closes it however they end.
"""

import os
import sys
from pathlib import Path

from pytest_fleetq.postgres.server import NoServer, Server

# Nothing a test of the shared server does must outlive the machine.
FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}


def main() -> int:
    folder = Path(sys.argv[1])
    try:
        server = Server(folder, settings=FAST)
        server.create()
        server.start()
    except NoServer as error:
        print(error)  # noqa: T201
        return 1
    try:
        users = os.open(folder / "users", os.O_RDONLY)  # blocks until the first is there
        print(server.dsn, flush=True)  # noqa: T201
        sys.stdout.close()
        while os.read(users, 1):
            pass
    finally:
        server.remove()
        Path(f"{folder}.lock").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
