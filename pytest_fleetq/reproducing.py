"""The one line that runs a test again as it ran."""

import os
import shlex

import pytest

from pytest_fleetq.injecting import GIVEN_PLAN
from pytest_fleetq.options import OPTIONS

_NOT_ITS_BUSINESS = ("seed", "keep", "dir")


def reproducing(item: pytest.Item, seed: int) -> str:
    """For the shell, to be run where pytest was."""
    config = item.config
    plan = os.environ.get(GIVEN_PLAN)
    words = [f"{GIVEN_PLAN}={shlex.quote(plan)}"] if plan else []
    words.append("pytest")
    if config.option.inifilename:
        words += ["-c", shlex.quote(str(config.option.inifilename))]
    # Its own node is chosen, but what was left out by default must be let in again.
    if config.option.markexpr and config.option.markexpr not in config.getini("addopts"):
        words += ["-m", shlex.quote(config.option.markexpr)]
    words += [shlex.quote(_from_here(item)), "--fleetq-seed", str(seed)]
    return " ".join([*words, *_options(config)])


def _from_here(item: pytest.Item) -> str:
    """Its node id; pytest counts the path in that from its root, the shell from where it is."""
    path, colons, name = str(item.nodeid).partition("::")
    here = item.config.invocation_params.dir
    return os.path.relpath(item.config.rootpath / path, here) + colons + name


def _options(config: pytest.Config) -> list[str]:
    """Those that were given for this run; what the ini file says is still there."""
    words = []
    for option in OPTIONS:
        given = config.getoption(f"fleetq_{option.name}")
        text = given or os.environ.get(f"FLEETQ_{option.name.upper()}")
        if text and option.name not in _NOT_ITS_BUSINESS:
            words += [f"--fleetq-{option.name}", shlex.quote(text)]
    return words
