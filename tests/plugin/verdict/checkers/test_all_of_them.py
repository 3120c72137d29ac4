"""What no checker may blame."""

from pathlib import Path

from pytest_fleetq.verdict import DEFAULT_CHECKERS
from tests.plugin.verdict.story import Story


def test_every_checker_has_tests_of_its_own() -> None:
    files = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert {one.name for one in DEFAULT_CHECKERS} == files - {"all_of_them"}


def test_nothing_at_all(story: Story) -> None:
    story.is_fine()


def test_an_ordinary_life(story: Story) -> None:
    for step in range(1, 20):
        story.life(step, fence=step)
    story.journal()
    story.is_fine()
    assert not story.told().unusual


def test_a_crash_and_a_recovery(story: Story) -> None:
    story.submit(1)
    story.claim(1, "a", 11)
    story.die("a")
    story.event("recovered", 1, holder="a")
    story.claim(1, "b", 22)
    story.write("complete", 1, "b", 22)
    story.event("completed", 1, holder="b")
    story.journal()
    story.is_fine()
    assert [trace.step for trace in story.told().unusual] == [1]


def test_a_journal_that_is_read_in_parts(story: Story) -> None:
    story.life(1)
    story.operation("journal", after=0, through=3)
    story.life(2, fence=2)
    story.operation("journal", after=3, through=6)
    story.is_fine()


def test_a_release_and_another_claim(story: Story) -> None:
    story.submit(1)
    story.claim(1, "a", 11)
    story.write("release", 1, "a", 11)
    story.event("released", 1, holder="a")
    story.claim(1, "a", 22)
    story.write("complete", 1, "a", 22)
    story.event("completed", 1, holder="a")
    story.journal()
    story.is_fine()


def test_events_that_came_late_and_twice(story: Story) -> None:
    story.operation("submit", kind="work", count=1, step_ids=[1])
    story.event("claimed", 1, holder="a", seq=2)
    story.event("submitted", 1, seq=1)
    story.event("claimed", 1, holder="a", seq=2)
    story.event("completed", 1, seq=3)
    story.event("completed", 1, seq=3)
    story.journal()
    story.is_fine()


def test_a_cancel(story: Story) -> None:
    story.submit(1, 2)
    story.event("cancelled", 1)
    story.event("claimed", 2, holder="a")
    story.event("cancelled", 2, holder="a")
    story.read(1, "CANCELLED")
    story.read(1, "CANCELLED")
    story.journal()
    story.is_fine()


def test_a_redrive_and_a_second_life(story: Story) -> None:
    story.submit(1, retry={"max_attempts": 1})
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a", cause="handler_error", error="ValueError")
    story.read(1, "FAILED")
    story.event("redriven", 1)
    story.operation("dead", steps=[], all=True)
    story.event("claimed", 1, holder="a")
    story.event("completed", 1, holder="a")
    story.read(1, "COMPLETED")
    story.journal()
    story.is_fine()


def test_without_a_journal_its_checkers_are_undecided(story: Story) -> None:
    story.operation("submit", kind="work", count=1, step_ids=[1])
    unknown = {result.checker for result in story.judged().results if result.verdict == "unknown"}
    assert unknown == {one.name for one in DEFAULT_CHECKERS if one.needs_journal}
    assert story.blamed() == set()
