"""Words for people: lists, and the nearest name to one that is wrong."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean x?`, or what there is if nothing comes near."""
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there is {', '.join(known)}" if known else ""


def counted(number: int, one: str, more: str = "") -> str:
    """`1 pod`, `3 pods`."""
    return f"{number} {one if number == 1 else more or one + 's'}"
