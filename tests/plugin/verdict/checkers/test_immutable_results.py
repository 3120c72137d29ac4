"""What is over stays as it is."""

from tests.plugin.verdict.story import Story


def completed(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.event("completed", 1, holder="a")


def test_a_read_that_began_before_the_end_and_came_back_after_it(story: Story) -> None:
    story.submit(1)
    early = story.recorder.invoke("slow", "get", {"step_ids": [1]})
    story.event("claimed", 1, holder="a")
    story.event("completed", 1, holder="a")
    story.read(1, "COMPLETED")
    story.recorder.ok(early, "get", {"steps": [{"step_id": 1, "state": "CLAIMED"}]})
    story.is_fine()


def test_two_reads_that_differ(story: Story) -> None:
    completed(story)
    story.read(1, "COMPLETED", result="one")
    story.read(1, "COMPLETED", result="two")
    story.blames("immutable_results")


def test_another_result_than_was_written(story: Story) -> None:
    story.submit(1)
    story.claim(1, "a", 11)
    story.write("complete", 1, "a", 11, result="one")
    story.event("completed", 1, holder="a")
    story.read(1, "COMPLETED", result="two")
    story.blames("immutable_results")


def test_a_repeat_with_another_result_does_not_count(story: Story) -> None:
    story.submit(1)
    story.claim(1, "a", 11)
    item = {"step_id": 1, "fence": 11, "result": "one"}
    story.recorder.info(story.recorder.invoke("a", "complete", {"items": [item]}), "too late")
    story.write("complete", 1, "a", 11, result="two")
    story.event("completed", 1, holder="a")
    story.read(1, "COMPLETED", result="one")
    story.is_fine()


def test_back_from_the_end(story: Story) -> None:
    story.life(1)
    story.read(1, "PENDING")
    story.blames("immutable_results")


def test_claimed_after_it_was_completed(story: Story) -> None:
    story.life(1)
    story.event("claimed", 1, holder="b")
    story.blames("immutable_results")


def test_read_as_what_the_journal_does_not_know(story: Story) -> None:
    completed(story)
    story.read(1, "CANCELLED")
    story.is_fine()
    story.journal()
    story.blames("immutable_results")


def test_a_redrive_may_be_untold(story: Story) -> None:
    story.submit(1, retry={"max_attempts": 1})
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a", cause="handler_error")
    story.read(1, "FAILED")
    story.read(1, "PENDING")
    story.is_fine()
    story.journal()
    story.blames("immutable_results")
