"""How long a step rests after a failure."""

from typing import Any

import pytest

from tests.plugin.verdict.story import Story

POLICY = {"max_attempts": 3, "initial_delay": 1.0, "multiplier": 2.0, "jitter": 0.1}


def fail_and_claim(story: Story, rest: float, **detail: Any) -> None:
    story.event("claimed", 1, holder="a")
    story.event("retrying", 1, holder="a", **detail)
    story.after(rest)
    story.event("claimed", 1, holder="a")


def test_delays_within_the_policy(story: Story) -> None:
    story.submit(1, retry=POLICY)
    story.event("claimed", 1, holder="a")
    for delay in (0.91, 2.19):
        story.event("retrying", 1, holder="a", delay=delay, delay_by="policy")
        story.after(delay)
        story.event("claimed", 1, holder="a")
    story.event("completed", 1, holder="a")
    story.is_fine()


def test_a_delay_that_the_holder_chose(story: Story) -> None:
    story.submit(1, retry=POLICY)
    fail_and_claim(story, 0.1, delay=0.1, delay_by="holder")
    story.is_fine()


def test_a_redrive_does_not_wait(story: Story) -> None:
    story.submit(1, retry={**POLICY, "max_attempts": 1})
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a", cause="handler_error")
    story.event("redriven", 1)
    story.event("claimed", 1, holder="a")
    story.is_fine()


@pytest.mark.parametrize("by", ["policy", "holder"])
def test_a_retry_in_haste(story: Story, by: str) -> None:
    story.submit(1, retry=POLICY)
    fail_and_claim(story, 0.8, delay=1.0, delay_by=by)
    story.blames("retry_delays")


@pytest.mark.parametrize("delay", [0.5, 1.2])
def test_a_delay_that_is_not_the_policys(story: Story, delay: float) -> None:
    story.submit(1, retry=POLICY)
    fail_and_claim(story, delay, delay=delay, delay_by="policy")
    story.blames("retry_delays")


def test_a_moved_clock_makes_haste_undecidable(story: Story) -> None:
    with story.fault("clock_jump"):
        story.submit(1, retry=POLICY)
        fail_and_claim(story, 0.8, delay=1.0, delay_by="policy")
    story.doubts("retry_delays")
