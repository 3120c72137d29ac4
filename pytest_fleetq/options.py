"""The plugin's options. Each may be given in four places; the first of these that has it counts:

1. the command line: `--fleetq-seed 7`
2. the environment: `FLEETQ_SEED=7`
3. the ini file: `fleetq_seed = 7`
4. the default below

A marker on a test (`@pytest.mark.fleetq(scope="module")`) comes before all of them, for that test.
"""

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_fleetq.workers import SEED

SCOPES = ("function", "class", "module", "session", "run")
TREATMENTS = ("report", "fail")
SEED_LIMIT = 2**32


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed < SEED_LIMIT:
        raise ValueError
    return seed


def _yes(text: str) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    return words[text.lower()]


def _scope(text: str) -> str:
    if text not in SCOPES:
        raise ValueError
    return text


def _treatment(text: str) -> str:
    if text not in TREATMENTS:
        raise ValueError
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.replace("\n", ",").split(",") if name.strip())


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError
    return seconds


class Option(NamedTuple):  # a dataclass would cost three milliseconds of every start of pytest
    name: str
    read: Callable[[str], Any]
    default: Any
    must_be: str
    help: str
    metavar: str = ""
    is_flag: bool = False

    @property
    def flag(self) -> str:
        return f"--fleetq-{self.name}"

    @property
    def ini(self) -> str:
        return f"fleetq_{self.name}"

    @property
    def variable(self) -> str:
        return f"FLEETQ_{self.name.upper()}"


OPTIONS = (
    Option("seed", _seed, None, f"a whole number from 0 up to {SEED_LIMIT - 1}",
           "Seed of all chance in faults and schedules; a random one unless given.", "N"),
    Option("keep", _yes, False, "true or false",
           "Keep what clusters leave: history, faults, logs, store, and a page of it, report.html.",
           is_flag=True),
    Option("dir", Path, None, "a folder",
           "Where clusters have their folders; a temporary one unless given.", "DIR"),
    Option("scope", _scope, "function", f"one of {', '.join(SCOPES)}",
           "How long clusters live; `cluster` with the same arguments gives the same.", "SCOPE"),
    Option("checkers", _names, (), "names, separated by commas",
           "The only checkers to ask after each test; all default ones unless given.", "NAMES"),
    Option("silence", _names, (), "names, separated by commas", "Checkers not to ask.", "NAMES"),
    Option("unknown", _treatment, "report", f"one of {', '.join(TREATMENTS)}",
           "What a test is in for whose verdict is unknown: a line in the summary, or a failure.",
           "HOW"),
    Option("timeout", _seconds, 10.0, "a number of seconds above 0",
           "How long pods may take to get ready, and `wait_until` waits.", "SECONDS"),
)  # fmt: skip


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("fleetq", "multi-pod tests (pytest-fleetq)")
    for option in OPTIONS:
        text = f"{option.help} Also {option.variable} or {option.ini} in the ini file."
        if option.is_flag:
            more = {"action": "store_const", "const": "true"}
        else:
            more = {"metavar": option.metavar}
        group.addoption(option.flag, dest=option.ini, help=text, **more)
        parser.addini(option.ini, option.help, default="")


def read_options(config: pytest.Config) -> Mapping[str, Any]:
    """Raises: pytest.UsageError, naming the places and what would be right."""
    found, problems = dict[str, Any](), list[str]()
    for option in OPTIONS:
        try:
            found[option.name] = _read(config, option)
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise pytest.UsageError("\n".join(problems))
    if found["seed"] is None:
        found["seed"] = _shared_seed(config)
    return found


def _read(config: pytest.Config, option: Option) -> Any:
    places = (
        (option.flag, config.getoption(option.ini)),
        (option.variable, os.environ.get(option.variable)),
        (f"{option.ini} in {config.inipath and config.inipath.name}", config.getini(option.ini)),
    )
    for place, text in places:
        if text:
            try:
                return option.read(text)
            except (ValueError, KeyError):
                raise ValueError(f"{place}={text!r} must be {option.must_be}") from None
    return option.default


def _shared_seed(config: pytest.Config) -> int:
    """Workers of xdist take the one of the process that started them."""
    given: Mapping[str, Any] = getattr(config, "workerinput", {})
    return int(given.get(SEED, random.SystemRandom().randrange(100_000)))
