"""What is in the DLQ, and why."""

from typing import Any

import pytest

from tests.plugin.verdict.story import Story

ONCE = {"max_attempts": 1}
BROKE: dict[str, Any] = {"cause": "handler_error", "error": "ValueError"}


def died(story: Story) -> None:
    story.submit(1, retry=ONCE)
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a", **BROKE)


def test_retries_up_to_the_limit_and_the_dlq(story: Story) -> None:
    story.submit(1, retry={"max_attempts": 2, "initial_delay": 0.0})
    story.claim(1, "a", 11)
    story.write("fail", 1, "a", 11, **BROKE)
    story.event("retrying", 1, holder="a", **BROKE)
    story.claim(1, "a", 22)
    story.write("fail", 1, "a", 22, **BROKE)
    story.event("dead", 1, holder="a", **BROKE)
    story.operation("dead", steps=[{"step_id": 1, "cause": "handler_error"}], all=True)
    story.read(1, "FAILED")
    story.journal()
    story.is_fine()


def test_three_crashes_and_the_dlq(story: Story) -> None:
    story.submit(1)
    for holder in "ab":
        story.event("claimed", 1, holder=holder)
        story.die(holder)
        story.event("recovered", 1, holder=holder)
    story.event("claimed", 1, holder="c")
    story.die("c")
    story.event("dead", 1, holder="c", cause="crashed")
    story.operation("dead", steps=[{"step_id": 1, "cause": "crashed"}], all=True)
    story.journal()
    story.is_fine()


@pytest.mark.parametrize(
    "why",
    [
        {"error": "Poison", "cause": "handler_error"},
        {"error": "Other", "cause": "handler_error", "retryable": "false"},
        {"error": "InvalidPayload", "cause": "invalid_payload"},
        {"error": "UnknownKind", "cause": "unknown_kind"},
    ],
    ids=lambda why: why["error"],
)
def test_what_is_never_retried_may_die_at_once(story: Story, why: dict[str, Any]) -> None:
    story.submit(1, retry={"non_retryable": ["Poison"]})
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a", **why)
    story.journal()
    story.is_fine()


def test_a_listing_while_the_journal_lags(story: Story) -> None:
    story.submit(1, retry=ONCE)
    story.event("claimed", 1, holder="a")
    story.operation("dead", steps=[{"step_id": 1, "cause": "handler_error"}], all=True)
    story.is_fine()
    story.event("dead", 1, holder="a", **BROKE)
    story.journal()
    story.is_fine()


def test_what_the_journal_has_not_told_is_not_judged(story: Story) -> None:
    died(story)
    story.operation("dead", steps=[], all=True)
    story.is_fine()  # it may have been redriven
    story.journal()
    story.blames("dlq_truth")


def test_buried_as_crashed_after_one_crash(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.die("a")
    story.event("dead", 1, holder="a", cause="crashed")
    story.blames("dlq_truth")


@pytest.mark.parametrize("cause", ["handler_error", "timeout"])
def test_buried_before_its_last_attempt(story: Story, cause: str) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a", cause=cause, error="ValueError")
    story.blames("dlq_truth")


def test_dead_and_not_in_the_dlq(story: Story) -> None:
    died(story)
    story.operation("dead", steps=[], all=True)
    story.journal()
    story.blames("dlq_truth")


def test_in_the_dlq_and_completed(story: Story) -> None:
    story.life(1)
    story.operation("dead", steps=[{"step_id": 1, "cause": "crashed"}], all=True)
    story.journal()
    story.blames("dlq_truth")


def test_listed_with_another_cause(story: Story) -> None:
    died(story)
    story.operation("dead", steps=[{"step_id": 1, "cause": "crashed"}], all=True)
    story.journal()
    story.blames("dlq_truth")


def test_claimed_out_of_the_dlq(story: Story) -> None:
    died(story)
    story.event("claimed", 1, holder="b")
    story.event("completed", 1, holder="b")
    story.blames("dlq_truth")
