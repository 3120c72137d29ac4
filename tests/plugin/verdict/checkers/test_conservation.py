"""Lost, there twice, from nowhere."""

from pytest_fleetq.verdict import Context
from tests.plugin.verdict.story import Story


def from_nowhere(story: Story) -> None:
    story.life(1)
    story.recorder.fail(story.recorder.invoke("client", "submit", {"count": 1}), "Overloaded")
    story.event("submitted", 2)


def test_a_submit_of_unknown_outcome_may_have_made_its_steps(story: Story) -> None:
    story.life(1)
    story.recorder.info(story.recorder.invoke("client", "submit", {"count": 2}), "too late")
    story.event("submitted", 2, 3)
    story.recorder.invoke("client", "submit", {"count": 1})
    story.event("submitted", 4)
    story.journal()
    story.is_fine()
    story.event("submitted", 5)
    story.blames("conservation")


def test_a_submit_of_unknown_outcome_may_have_made_none(story: Story) -> None:
    story.life(1)
    story.recorder.invoke("client", "submit", {"count": 2})
    story.journal()
    story.is_fine()


def test_an_acknowledged_step_that_the_journal_never_got(story: Story) -> None:
    story.life(1)
    story.operation("submit", kind="work", count=1, step_ids=[2])
    story.is_fine()
    story.journal()
    story.blames("conservation")


def test_lost_in_a_journal_that_was_read_in_parts(story: Story) -> None:
    story.life(1)
    story.operation("journal", after=0, through=3)
    story.operation("submit", kind="work", count=1, step_ids=[2])
    story.is_fine()
    story.operation("journal", after=3, through=3)
    story.blames("conservation")


def test_an_acknowledged_step_that_nobody_can_find(story: Story) -> None:
    story.life(1)
    story.operation("submit", kind="work", count=1, step_ids=[2])
    story.operation("get", missing=[2])
    story.blames("conservation")


def test_a_step_that_was_pruned_is_not_lost(story: Story) -> None:
    story.life(1)
    story.event("pruned", 1)
    story.operation("get", missing=[1])
    story.is_fine()


def test_an_accepted_completion_that_left_no_trace(story: Story) -> None:
    story.submit(1)
    story.claim(1, "a", 11)
    story.write("complete", 1, "a", 11)
    story.is_fine()
    story.journal()
    story.blames("conservation")


def test_the_second_of_two_accepted_failures_left_no_trace(story: Story) -> None:
    story.submit(1, retry={"initial_delay": 0.0})
    for fence in (11, 22):
        story.claim(1, "a", fence)
        story.write("fail", 1, "a", fence, cause="handler_error", error="ValueError")
        story.write("fail", 1, "a", fence, cause="handler_error", error="ValueError")
        if fence == 11:
            story.event("retrying", 1, holder="a")
    story.journal()
    story.blames("conservation")
    (finding,) = story.judged()["conservation"].findings
    assert "only 1 times in the journal" in finding.problem


def test_two_results(story: Story) -> None:
    story.life(1)
    story.event("completed", 1)
    story.blames("conservation")


def test_a_step_that_came_from_nowhere(story: Story) -> None:
    from_nowhere(story)
    story.blames("conservation")


def test_a_step_pruned_before_its_time(story: Story) -> None:
    story.submit(1)
    story.event("pruned", 1)
    story.blames("conservation")


def test_a_step_submitted_twice(story: Story) -> None:
    story.submit(1)
    story.event("submitted", 1)
    story.blames("conservation")


def test_strangers_are_welcome_where_others_submit_too(story: Story) -> None:
    from_nowhere(story)
    story.is_fine(Context(only_recorded_clients=False))
    story.recorder.unrecorded("the command line")
    story.is_fine()


def test_steps_of_before_the_history_began_are_no_strangers(story: Story) -> None:
    story.life(1)
    story.event("claimed", 2, holder="a")
    story.event("completed", 2, holder="a")
    story.is_fine()
