"""Log lines: one way out for our own and for libraries', to stderr, as JSON or for people."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars
from structlog.typing import FilteringBoundLogger, Processor

from fleetq_server.model import Claim

# The attempt a task or handler thread is busy with: set once per step, read only if it logs.
current_attempt: ContextVar[Claim | None] = ContextVar("current_attempt", default=None)

_Line = MutableMapping[str, Any]


def get_logger(**bound: object) -> FilteringBoundLogger:
    """A logger whose every line carries `bound`. Works before `configure_logging` too."""
    logger: FilteringBoundLogger = structlog.get_logger(**bound)
    return logger


def log_context(**bound: object) -> AbstractContextManager[None]:
    """Inside it, every line of this task carries `bound`: step, attempt, term …"""
    return bound_contextvars(**bound)


def configure_logging(level: str, format: str, **bound: object) -> None:
    """Sends all log lines of this process to stderr; every one carries `bound` (the pod's id).

    `level` is a standard name such as "INFO", `format` "json" or "console". May be called
    again, for instance once the pod's id is known.
    """
    shared = _shared(bound)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        # A cached logger would keep the level and the pod of the first configuration.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(format),
            ],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _shared(bound: dict[str, object]) -> list[Processor]:
    def carry(_logger: Any, _method: str, line: _Line) -> _Line:
        # Not a context variable: the writer thread starts with an empty context.
        for key, value in bound.items():
            line.setdefault(key, value)
        attempt = current_attempt.get()
        if attempt is not None:
            line.setdefault("step", str(attempt.step_id))
            line.setdefault("attempt", attempt.attempt)
        return line

    return [
        structlog.contextvars.merge_contextvars,
        carry,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _rendering(format: str) -> list[Processor]:
    if format == "json":
        return [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default formatter is rich's, with source and locals: megabytes, and secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]
