"""The same as `fleetq bench`."""

import sys

from fleetq_server.cli.main import main

main(["bench", *sys.argv[1:]])
