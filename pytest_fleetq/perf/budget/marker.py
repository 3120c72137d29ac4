"""`@pytest.mark.perf_budget("claim.p99 <= 50ms", …)`."""

from collections.abc import Iterable
from importlib import import_module

import pytest

NAME = "perf_budget"
LINE = (
    "perf_budget('claim.p99 <= 50ms', …): what the test may cost; it fails where a figure exceeds "
    "that, or where there is too little data for one."
)


def declare(config: pytest.Config) -> None:
    config.addinivalue_line("markers", LINE)


def expressions(item: pytest.Item) -> list[object]:
    """Of all its markers, those of its module and class first."""
    markers = reversed(list(item.iter_markers(NAME)))
    return list(dict.fromkeys(each for marker in markers for each in marker.args))


def check(items: Iterable[pytest.Item]) -> None:
    """Has marked tests measured. Raises: pytest.UsageError for what cannot be read."""
    for item in items:
        if any(item.iter_markers(NAME)):
            _check(item)
            names = getattr(item, "fixturenames", None)
            if names is not None and NAME not in names:
                names.insert(0, NAME)


def _check(item: pytest.Item) -> None:
    if any(marker.kwargs for marker in item.iter_markers(NAME)):
        raise pytest.UsageError(
            f"{item.nodeid}: marker {NAME} takes only texts, such as 'claim.p99 <= 50ms'"
        )
    # Most runs of pytest have no budgets, and need not load their grammar.
    read = import_module("pytest_fleetq.perf.budget.grammar").read_threshold
    try:
        for expression in expressions(item):
            read(expression)
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: marker {NAME}: {error}") from None
