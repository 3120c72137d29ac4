"""Checkers by name, as markers and options give them."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_fleetq.verdict import Checker

_EXTRA: "pytest.StashKey[list[Checker]]" = pytest.StashKey()


def extra_checkers(config: pytest.Config) -> "list[Checker]":
    """Those of plugins, who are asked once."""
    if _EXTRA not in config.stash:
        found = config.hook.pytest_fleetq_checkers()
        config.stash[_EXTRA] = [checker for some in found for checker in some]
    return config.stash[_EXTRA]


def unknown_checker(config: pytest.Config, told: Mapping[str, Any]) -> str:
    """What is wrong with the names in `checkers` and `silence`, or ""."""
    names = [*told.get("checkers", ()), *told.get("silence", ())]
    if not names:
        return ""  # most often, and then nothing needs to be loaded
    try:
        import_module("pytest_fleetq.verdict").choose(names, extra=extra_checkers(config))
    except ValueError as error:
        return str(error)
    return ""
