"""Retry policies and failures, as histories tell them. No checker: what several of them share."""

from collections.abc import Mapping
from typing import Any

from pytest_fleetq.verdict.history import History
from pytest_fleetq.verdict.model import Context
from pytest_fleetq.verdict.records import Trace, Value


def retry_of(trace: Trace, context: Context) -> Mapping[str, Any] | None:
    """The policy of a step, defaults filled in; None if its submit is not in the history."""
    if trace.asked is None:
        return None
    own = trace.asked.retry
    return {**context.default_retry, **own} if own else context.default_retry


def failures_of(trace: Trace, history: History) -> list[Value] | None:
    """What holders said when they failed it, also where nobody knows whether that arrived; None if
    a call of unknown outcome does not even tell which steps it was about."""
    told = [write.about for write in trace.writes if write.operation == "fail"]
    for one in history.unfinished:
        if one.name == "fail":
            if "items" not in one.value:
                return None
            told += [item for item in one.value["items"] if item["step_id"] == trace.step]
    return told


def shortest_delay(policy: Mapping[str, Any], failures: int) -> float:
    """Seconds that the n-th failure must wait at least."""
    return max(0.0, _delay(policy, failures) * (1 - float(policy["jitter"])))


def longest_delay(policy: Mapping[str, Any], failures: int) -> float:
    return _delay(policy, failures) * (1 + float(policy["jitter"]))


def _delay(policy: Mapping[str, Any], failures: int) -> float:
    initial = float(policy["initial_delay"])
    if initial == 0:
        return 0.0  # also where the growth overflows
    try:
        grown = initial * float(policy["multiplier"]) ** (failures - 1)
    except OverflowError:
        return float(policy["max_delay"])
    return min(float(policy["max_delay"]), grown)
