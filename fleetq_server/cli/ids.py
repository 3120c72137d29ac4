"""Step ids as arguments, or one per line of standard input."""

import sys
from collections.abc import Iterator

from fleetq_server.errors import InvalidArgument


def read_ids(arguments: tuple[str, ...]) -> list[str]:
    """The ids given, each once; "-" stands for those on standard input.

    Raises:
        InvalidArgument: one is not a step id, or there is none.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        found.update(dict.fromkeys(_standard_input() if argument == "-" else [argument]))
    for text in found:
        if not (text.isascii() and text.isdecimal()):
            raise InvalidArgument("STEP_ID", f"{text!r} is not a step id")
    if not found:
        raise InvalidArgument("STEP_ID", "there is none on standard input")
    return list(found)


def _standard_input() -> Iterator[str]:
    for line in sys.stdin:
        yield from line.split()
