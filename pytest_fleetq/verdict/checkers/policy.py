"""Retry policies as histories tell them. No checker: what several of them share."""

from collections.abc import Mapping
from typing import Any

from pytest_fleetq.verdict.model import Context
from pytest_fleetq.verdict.records import Happened, Trace


def retry_of(trace: Trace, context: Context) -> Mapping[str, Any] | None:
    """The policy of a step, defaults filled in; None if its submit is not in the history."""
    if trace.asked is None:
        return None
    own = trace.asked.retry
    return {**context.default_retry, **own} if own else context.default_retry


def may_be_retried(failure: Happened, policy: Mapping[str, Any] | None) -> bool:
    """Whether neither its holder nor its policy forbids it, attempts apart."""
    if failure.detail.get("retryable") in ("false", False):
        return False
    return policy is None or failure.detail.get("error") not in policy["non_retryable"]


def told_delay(failure: Happened) -> float | None:
    """Seconds from a failure to the next attempt, as the journal has them."""
    delay = failure.detail.get("delay")
    return None if delay is None else float(delay)


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
