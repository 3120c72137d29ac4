"""The limits of what clients may send, each checked in one place."""

import math
import re

from fleetq_server.errors import InvalidArgument

MAX_PAYLOAD_BYTES = 256 * 1024
MAX_RESULT_BYTES = 256 * 1024
MAX_STEPS = 1000
MAX_METADATA = 32
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 1024
MAX_KEY = 256
MAX_PRIORITY = 1000
MAX_TIMEOUT = 7 * 86400.0
MAX_PROGRESS_BYTES = 4096
MAX_ERROR = 128
MAX_MESSAGE = 4096

_QUEUE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")
_KIND = re.compile(r"[A-Za-z0-9_.:/-]{1,128}\Z")
# With the name of its principal before it, where workers show tokens.
_HOLDER = re.compile(r"([a-z0-9-]{1,32}:)?[A-Za-z0-9-]{8,64}\Z")
_REQUEST = re.compile(r"[!-~]{1,64}\Z")


def check_queue(name: str, field: str) -> None:
    if not _QUEUE.match(name):
        raise InvalidArgument(
            field,
            f"{_show(name)} is no queue name: 1 to 63 of a-z 0-9 _ . -, "
            "beginning with a letter or digit",
        )


def check_kind(name: str, field: str) -> None:
    if not _KIND.match(name):
        raise InvalidArgument(field, f"{_show(name)} is no kind: 1 to 128 of A-Z a-z 0-9 _ . : / -")


def check_holder(name: str, field: str) -> None:
    if not _HOLDER.match(name):
        raise InvalidArgument(
            field, f"{_show(name)} is no holder id: 8 to 64 of A-Z a-z 0-9 -, random at each start"
        )


def check_request(name: str | None, field: str) -> None:
    if name is not None and not _REQUEST.match(name):
        raise InvalidArgument(
            field, f"{_show(name)} is no request id: 1 to 64 printable ASCII characters, no blanks"
        )


def check_seconds(
    value: float | None, field: str, least: float = 0.0, most: float = MAX_TIMEOUT
) -> None:
    if value is not None and not (math.isfinite(value) and least <= value <= most):
        raise InvalidArgument(field, f"{value:g} s is not between {least:g} and {most:g}")


def _show(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
