"""Which markers there are, and what they may be given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_fleetq.markers.amounts import read_amount
from pytest_fleetq.markers.checkers import unknown_checker
from pytest_fleetq.options import SCOPES

_REQUIRES = (
    "requires_resources(cpus=N, memory='2GB', disk='1GB', programs=('name',)): skipped, with the "
    "reason, where the machine lacks them; tests that together need more than it has wait for "
    "each other, also between xdist workers and other test runs."
)
_FLEETQ = (
    "fleetq(scope='module', checkers=('name',), silence=('name',), timeout=SECONDS): how clusters "
    "of this test live and are judged; see --fleetq-scope and the like."
)
LINES = (
    "integration: runs several processes together.",
    "performance: measures.",
    "slow: takes more than 30 seconds.",
    _REQUIRES,
    _FLEETQ,
)


def declare(config: pytest.Config) -> None:
    for line in LINES:
        config.addinivalue_line("markers", line)


def check(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Raises: pytest.UsageError, naming the tests, for markers with wrong arguments."""
    problems = [
        f"{item.nodeid}: marker {name}: {problem}"
        for item in items
        for name, arguments in _ARGUMENTS.items()
        for marker in item.iter_markers(name)
        if (problem := _problem(marker, arguments) or unknown_checker(config, marker.kwargs))
    ]
    if problems:
        raise pytest.UsageError("\n".join(problems))


def _problem(marker: pytest.Mark, arguments: Mapping[str, Callable[[Any], str]]) -> str:
    if marker.args:
        return f"takes only named arguments: {', '.join(arguments)}"
    for name, value in marker.kwargs.items():
        if name not in arguments:
            return f"has no argument {name!r}; there is {', '.join(arguments)}"
        if must_be := arguments[name](value):
            return f"{name}={value!r} must be {must_be}"
    return ""


def _whole(value: Any) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return "" if good else "a whole number above 0"


def _amount(value: Any) -> str:
    try:
        read_amount(value)
    except ValueError:
        return "a number of bytes, or text such as '512MB' or '2GB'"
    return ""


def _names(value: Any) -> str:
    good = isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    return "" if good else "a list of names"


def _scope(value: Any) -> str:
    return "" if value in SCOPES else f"one of {', '.join(SCOPES)}"


def _seconds(value: Any) -> str:
    good = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return "" if good else "a number of seconds above 0"


_ARGUMENTS: Mapping[str, Mapping[str, Callable[[Any], str]]] = {
    "requires_resources": {"cpus": _whole, "memory": _amount, "disk": _amount, "programs": _names},
    "fleetq": {"scope": _scope, "checkers": _names, "silence": _names, "timeout": _seconds},
}
