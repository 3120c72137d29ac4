"""A fault's settings are the fields of its dataclass, but for those that begin with an underscore;
here they are checked, by their types and bounds, before anything happens."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from pytest_fleetq.faults.base import Fault
from pytest_fleetq.faults.errors import BadSetting
from pytest_fleetq.faults.names import nearest

N = TypeVar("N", int, float)


def number(default: N, *, low: float = 0, high: float = math.inf, above: float = -math.inf) -> N:
    """A numeric setting and what it may be: from `low` to `high`, and more than `above`."""
    bounds = {"low": low, "high": high, "above": above}
    made: N = field(default=default, metadata=bounds)
    return made


def settings_of(kind: type[Fault]) -> dict[str, "Field[Any]"]:
    return {one.name: one for one in fields(cast(Any, kind)) if not one.name.startswith("_")}


def build(kind: type[Fault], settings: Mapping[str, object]) -> Fault:
    """The fault with these settings.

    Raises:
        BadSetting: there is no such setting, or it cannot have that value.
    """
    known = settings_of(kind)
    hints = get_type_hints(kind)
    for name, value in settings.items():
        if name not in known:
            raise BadSetting(f"fault {kind.name!r} has no setting {name!r}{_hint(name, known)}")
        if problem := _problem(value, hints[name], known[name].metadata):
            raise BadSetting(f"fault {kind.name!r}: {name}={value!r} must be {problem}")
    try:
        return kind(**settings)
    except ValueError as error:
        raise BadSetting(f"fault {kind.name!r}: {error}") from error


def defaults_of(kind: type[Fault]) -> dict[str, object]:
    return {
        name: one.default for name, one in settings_of(kind).items() if one.default is not MISSING
    }


def _hint(name: str, known: Mapping[str, object]) -> str:
    return nearest(name, known) if known else "; it has none"


def allowed(kind: type[Fault], name: str) -> str:
    """What a setting may be, in words; "" for a type of its author's own."""
    return _allowed(get_type_hints(kind)[name], settings_of(kind)[name].metadata)


def _problem(value: object, hint: Any, bounds: Mapping[str, float]) -> str:
    """What the value ought to be instead, or "" if it is right."""
    return "" if _fits(value, hint, bounds) else _allowed(hint, bounds)


def _allowed(hint: Any, bounds: Mapping[str, float]) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    if hint in (int, float):
        return f"{'a whole number' if hint is int else 'a number'} {_range(bounds)}".rstrip()
    return {bool: "true or false", str: "text"}.get(hint, "")


def _range(bounds: Mapping[str, float]) -> str:
    low, high, above = _limits(bounds)
    words = [f"above {above:g}"] if above >= low else []
    words += [f"from {low:g}"] if above < low and low > -math.inf else []
    words += [f"up to {high:g}"] if high < math.inf else []
    return " ".join(words)


def _limits(bounds: Mapping[str, float]) -> tuple[float, float, float]:
    return (
        bounds.get("low", -math.inf),
        bounds.get("high", math.inf),
        bounds.get("above", -math.inf),
    )


def _fits(value: object, hint: Any, bounds: Mapping[str, float]) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint in (bool, str):
        return isinstance(value, hint)
    if hint not in (int, float):
        return True  # a type of its author's own: its __post_init__ may look at it
    numbers = (int,) if hint is int else (int, float)
    # True is an int to Python, and never meant as one here.
    if isinstance(value, bool) or not isinstance(value, numbers) or not math.isfinite(value):
        return False
    low, high, above = _limits(bounds)
    return low <= value <= high and value > above
