"""How long a call may wait."""

from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from fleetq_server.rpc import fields

LONGEST = 30.0
MARGIN = 0.2  # for the way back: an answer after the deadline is lost


def patience(wait: Duration, context: "grpc.aio.ServicerContext[Any, Any]") -> float:
    """Seconds: what was asked for, within the limit and the call's deadline."""
    asked = min(fields.duration("wait", wait), LONGEST)
    remaining: float | None = context.time_remaining()  # None without a deadline
    return asked if remaining is None else max(0.0, min(asked, remaining - MARGIN))
