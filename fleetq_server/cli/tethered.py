"""`fleetq`, run so that it ends with the process that started it.

    python -m fleetq_server.cli.tethered serve …

Its standard input must be a pipe of which only the parent has the other end. The kernel closes
that whatever the parent dies of, and unlike PR_SET_PDEATHSIG it is not tied to the thread that
started us, nor to Linux.
"""

import os
import sys
import threading

from fleetq_server.cli.main import main


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="tether", daemon=True).start()
    sys.exit(main())
