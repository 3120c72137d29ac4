"""The same as `fleetq monitor`."""

from pytest_fleetq.perf.monitor.command import monitor

monitor(prog_name="monitor_resources.py")
