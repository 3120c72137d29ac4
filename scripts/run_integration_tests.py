"""The same as `fleetq test`."""

from pytest_fleetq.suites.command import test

test(prog_name="run_integration_tests.py")
