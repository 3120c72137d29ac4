"""`python -m pytest_fleetq.faults.proxy PARENT SEED`: see `links`, which starts it."""

import sys

from pytest_fleetq.faults.proxy.server import serve

if __name__ == "__main__":
    serve(parent=int(sys.argv[1]), seed=int(sys.argv[2]))
