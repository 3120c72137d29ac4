"""The budgets of all tests in the terminal's summary."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

ATTRIBUTE = "fleetq_budget"  # of test reports


def lines(stats: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """For each test with budgets: its name, and a line for each of them and of its loads."""
    for reports in stats.values():
        for report in reports:
            told = getattr(report, ATTRIBUTE, None)
            if told and told["budgets"]:
                yield report.nodeid
                yield from (f"  {line}" for line in (*told["budgets"], *told["loads"]))
