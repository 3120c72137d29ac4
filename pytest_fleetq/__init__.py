"""Multi-pod tests for pytest. The plugin is yet to come: this package holds only its name."""

from fleetq_server import __version__

__all__ = ["__version__"]
