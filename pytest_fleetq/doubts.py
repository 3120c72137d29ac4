"""Verdicts that nobody can be sure of: neither a failure nor a warning, but told at the end."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PROPERTY = "fleetq_unknown"  # of tests: what could not be told, and why


def lines(stats: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """For each test with such a verdict: its name, and what its checkers say."""
    for reports in stats.values():
        for report in reports:
            for name, told in getattr(report, "user_properties", ()):
                if name == PROPERTY and report.when == "call":
                    yield report.nodeid
                    yield from (f"  {line}" for line in str(told).splitlines())
