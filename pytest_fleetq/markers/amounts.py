"""Amounts of bytes as people write them."""

import re

_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?", re.IGNORECASE)


def read_amount(value: object) -> int:
    """Bytes. Raises: ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no amount")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def tell_amount(number: int) -> str:
    for unit in "TGM":
        if number >= _UNITS[unit]:
            return f"{number / _UNITS[unit]:.4g} {unit}iB"
    return f"{number} bytes"
