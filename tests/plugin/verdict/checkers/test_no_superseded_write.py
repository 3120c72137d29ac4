"""Late writes."""

from tests.plugin.verdict.story import Story

SWIFT = {"max_attempts": 2, "initial_delay": 0.0}


def recovered(story: Story, *, recorded: bool = True) -> None:
    """From a, under fence 11; b has it now, under fence 22."""
    story.submit(1)
    story.claim(1, "a", 11)
    story.die("a")
    story.event("recovered", 1, holder="a")
    if recorded:
        story.claim(1, "b", 22)
    else:
        story.event("claimed", 1, holder="b")


def fails(story: Story) -> None:
    """By a, under fence 11; the first time or again."""
    story.write("fail", 1, "a", 11, cause="handler_error", error="ValueError")


def claimed_again(story: Story, by: str) -> None:
    """What a had under fence 11 is to be retried, and somebody has it under fence 22."""
    story.event("retrying", 1, holder="a")
    story.claim(1, by, 22)


def claimed_by_a(story: Story) -> None:
    story.submit(1, retry=SWIFT)
    story.claim(1, "a", 11)


def test_a_late_write_that_was_refused(story: Story) -> None:
    recovered(story)
    story.write("complete", 1, "a", 11, verdict="superseded")
    story.write("complete", 1, "b", 22)
    story.event("completed", 1, holder="b")
    story.journal()
    story.is_fine()


def test_a_repeated_failure_is_answered_as_the_first(story: Story) -> None:
    claimed_by_a(story)
    fails(story)
    claimed_again(story, by="b")
    fails(story)
    story.write("complete", 1, "b", 22)
    story.event("completed", 1, holder="b")
    story.journal()
    story.is_fine()


def test_a_repeat_of_a_write_whose_first_answer_was_lost(story: Story) -> None:
    claimed_by_a(story)
    item = {"step_id": 1, "fence": 11, "cause": "handler_error", "error": "ValueError"}
    story.recorder.invoke("a", "fail", {"items": [item]})
    claimed_again(story, by="b")
    fails(story)
    story.is_fine()


def test_a_write_of_unknown_outcome_that_does_not_tell_its_steps(story: Story) -> None:
    claimed_by_a(story)
    story.recorder.info(story.recorder.invoke("a", "fail", {"count": 1}), "too late")
    claimed_again(story, by="b")
    fails(story)
    story.is_fine()


def test_a_worker_that_claims_its_own_step_again_after_the_timeout(story: Story) -> None:
    claimed_by_a(story)
    claimed_again(story, by="a")
    story.write("complete", 1, "a", 22)
    story.event("completed", 1, holder="a")
    story.journal()
    story.is_fine()


def test_a_completion_with_the_first_of_two_claims(story: Story) -> None:
    recovered(story)
    story.write("complete", 1, "a", 11)
    story.event("completed", 1)
    story.journal()
    story.blames("no_superseded_write")


def test_a_completion_by_a_remote_worker_after_its_recovery(story: Story) -> None:
    recovered(story, recorded=False)
    story.write("complete", 1, "a", 11)
    story.event("completed", 1)
    story.blames("no_superseded_write")


def test_a_completion_of_unnamed_holder_after_its_recovery(story: Story) -> None:
    recovered(story, recorded=False)
    story.write("complete", 1, "", 11)
    story.event("completed", 1)
    story.blames("no_superseded_write")


def test_a_completion_with_the_fence_of_an_attempt_that_timed_out(story: Story) -> None:
    claimed_by_a(story)
    claimed_again(story, by="a")
    story.write("complete", 1, "a", 11)
    story.event("completed", 1)
    story.blames("no_superseded_write")


def test_a_completion_after_the_recovery(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.die("a")
    story.event("recovered", 1, holder="a")
    story.event("completed", 1)
    story.blames("no_superseded_write")


def test_a_failure_by_somebody_else(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.event("retrying", 1, holder="b")
    story.blames("no_superseded_write")


def test_a_release_by_somebody_else(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.event("released", 1, holder="b")
    story.blames("no_superseded_write")


def test_a_death_that_nobody_could_report(story: Story) -> None:
    story.submit(1, retry={"max_attempts": 1})
    story.event("claimed", 1, holder="a")
    story.event("released", 1, holder="a")
    story.event("dead", 1, holder="a", cause="handler_error", error="ValueError")
    story.blames("no_superseded_write")
