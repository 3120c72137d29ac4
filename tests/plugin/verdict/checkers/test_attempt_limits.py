"""How often a step is tried."""

from pytest_fleetq.verdict import Context
from tests.plugin.verdict.story import Story

SWIFT = {"max_attempts": 2, "initial_delay": 0.0, "non_retryable": ["Poison"]}


def crashes(story: Story, number: int) -> None:
    story.submit(1)
    for holder in range(number):
        story.event("claimed", 1, holder=f"holder-{holder}")
        story.die(f"holder-{holder}")
        story.event("recovered", 1, holder=f"holder-{holder}")


def test_a_redrive_begins_anew(story: Story) -> None:
    story.submit(1, retry=SWIFT)
    for _ in range(2):
        story.event("claimed", 1, holder="a")
        story.event("retrying", 1, holder="a")
        story.event("claimed", 1, holder="a")
        story.event("dead", 1, holder="a", cause="handler_error", error="ValueError")
        story.event("redriven", 1)
    story.is_fine()


def test_one_attempt_too_many(story: Story) -> None:
    story.submit(1, retry=SWIFT)
    for _ in range(3):
        story.event("claimed", 1, holder="a")
        story.event("retrying", 1, holder="a")
    story.blames("attempt_limits")


def test_one_crash_too_many(story: Story) -> None:
    crashes(story, 3)
    story.blames("attempt_limits")
    story.is_fine(Context(max_crashes=4))
    story.is_fine(Context(max_crashes=None))


def test_a_retry_of_what_its_policy_never_retries(story: Story) -> None:
    story.submit(1, retry=SWIFT)
    story.event("claimed", 1, holder="a")
    story.event("retrying", 1, holder="a", cause="handler_error", error="Poison")
    story.blames("attempt_limits")


def test_a_retry_of_what_its_holder_said_not_to_retry(story: Story) -> None:
    story.submit(1, retry=SWIFT)
    story.event("claimed", 1, holder="a")
    story.event("retrying", 1, holder="a", error="Other", retryable="false")
    story.blames("attempt_limits")
