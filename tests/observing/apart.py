"""Handlers that run in processes of their own, for which this module is imported anew."""

import os
from typing import Any

from opentelemetry import trace

from fleetq_server.core.context import Context
from fleetq_server.core.handlers import handler


@handler("apart", process=True)
def apart(_context: Context) -> dict[str, Any]:
    here = trace.get_current_span().get_span_context()
    return {"trace": here.trace_id, "span": here.span_id}


@handler("crash", process=True)
def crash(_context: Context) -> None:
    os._exit(3)
