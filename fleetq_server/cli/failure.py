"""Errors for people and scripts: one line, what to do next, and the exit code."""

from typing import NamedTuple

import click

from fleetq_server.errors import (
    ConfigError,
    Conflict,
    DeadlineExceeded,
    Draining,
    FleetError,
    Forbidden,
    IdempotencyConflict,
    InternalError,
    InvalidArgument,
    NoPodReachable,
    NotFound,
    Overloaded,
    StoreRefused,
    StoreUnavailable,
    Unauthorized,
    Unavailable,
)

OK, NO, USAGE, UNREACHABLE, ABSENT, INTERRUPTED = 0, 1, 2, 3, 4, 130

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the answer is no: a step failed, was cancelled or is still open, a record was bad
  2    wrong usage or bad input
  3    the fleet is unreachable, overloaded or did not answer in time
  4    there is no such step, pod or queue
  130  interrupted
"""


class Kind(NamedTuple):
    code: int
    advice: str


# The first row that fits counts, so the more special come first.
KINDS: tuple[tuple[type[Exception], Kind], ...] = (
    (NotFound, Kind(ABSENT, "")),
    (IdempotencyConflict, Kind(USAGE, "")),
    (InvalidArgument, Kind(USAGE, "")),
    (ConfigError, Kind(USAGE, "")),
    (StoreRefused, Kind(USAGE, "see fleetq doctor")),
    (Conflict, Kind(NO, "")),
    (NoPodReachable, Kind(UNREACHABLE, "is a pod running? start one with fleetq serve")),
    (StoreUnavailable, Kind(UNREACHABLE, "see fleetq doctor, then try again")),
    (Draining, Kind(UNREACHABLE, "name another pod with --address")),
    (Unavailable, Kind(UNREACHABLE, "try again")),
    (Overloaded, Kind(UNREACHABLE, "")),
    (DeadlineExceeded, Kind(UNREACHABLE, "look with fleetq steps, or give more --call-timeout")),
    (Forbidden, Kind(USAGE, "another token may; see --token-file")),
    (Unauthorized, Kind(USAGE, "see --token-file")),
    (InternalError, Kind(UNREACHABLE, "look for it in the pod's log")),
    (FleetError, Kind(NO, "")),
    (click.ClickException, Kind(USAGE, "see --help")),
    (OSError, Kind(USAGE, "")),
)


ABSENCE = {
    "step": "it never existed, or is no longer kept",
    "pod": "see fleetq pods --all",
}


class Failure(NamedTuple):
    """What is told of an error."""

    type: str
    message: str
    advice: str
    exit_code: int

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        code, advice = next(kind for types, kind in KINDS if isinstance(error, types))
        if isinstance(error, NotFound):
            advice = ABSENCE.get(error.what, advice)
        return cls(type(error).__name__, _message(error), advice, code)

    @property
    def line(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message

    @property
    def document(self) -> dict[str, object]:
        return {"error": self._asdict()}


def _message(error: Exception) -> str:
    text = str(error)
    if isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, InternalError) and error.log_id:
        text = f"{text}, log id {error.log_id}"
    return " ".join(text.split())
