"""Who waits without a reason when all is over."""

import pytest

from tests.plugin.verdict.story import WALL, Story


@pytest.fixture(autouse=True)
def pod(story: Story) -> None:
    """There is one, and it has run a step of the kind."""
    story.join("a")
    story.life(100)


def test_held_by_the_dead(story: Story) -> None:
    story.join("b")
    story.submit(1)
    story.event("claimed", 1, holder="b")
    story.die("b")
    story.end()
    story.blames("nothing_stuck")


def test_nobody_is_left_who_could_take_it_back(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.die("a")
    story.join("w", type="worker")
    story.end()
    story.is_fine()


def test_due_and_nobody_comes(story: Story) -> None:
    with story.fault():
        story.submit(2)
    story.end()
    story.blames("nothing_stuck")
    (finding,) = story.judged()["nothing_stuck"].findings
    assert finding.problem == "step 2 is stuck: submitted, due, and a does not claim it"


def test_a_retry_that_never_comes(story: Story) -> None:
    story.submit(1, retry={"initial_delay": 1.0})
    story.event("claimed", 1, holder="a")
    story.event("retrying", 1, holder="a", delay=1.0, delay_by="policy")
    story.end()
    story.blames("nothing_stuck")


def test_a_pod_that_began_anew_runs_what_it_ran(story: Story) -> None:
    story.join("x", name="pod-0")
    story.event("claimed", 100, holder="x", seq=1000)
    story.event("completed", 100, holder="x", seq=1001)
    story.die("a")
    story.die("x")
    story.submit(1)
    story.join("y", name="pod-0")
    story.end()
    assert "nothing_stuck" in story.blamed()


def test_steps_that_wait_for_a_reason(story: Story) -> None:
    story.submit(2, run_at=WALL + 5000)
    story.submit(3)
    story.event("claimed", 3, holder="a")
    story.event("retrying", 3, holder="a", delay=1000.0, delay_by="holder")
    story.operation("submit", kind="work", queue="slow", count=1, step_ids=[4])
    story.event("submitted", 4, queue="slow")
    story.event("paused", queue="slow")
    story.submit(5, kind="nobody runs this")
    story.submit(6, retry={"max_attempts": 1})
    story.event("claimed", 6, holder="a")
    story.event("dead", 6, holder="a", cause="handler_error")
    story.event("redriven", 6, delay=500.0)
    story.end()
    story.is_fine()


def test_all_who_could_run_it_are_busy(story: Story) -> None:
    story.submit(1, 2)
    story.event("claimed", 1, holder="a")
    story.end()
    story.is_fine()


def test_a_pod_that_drains_claims_no_more(story: Story) -> None:
    story.submit(1)
    story.event("pod_draining", holder="a")
    story.end()
    story.is_fine()


def test_a_backlog_that_is_being_worked_on(story: Story) -> None:
    story.submit(*range(1, 10))
    for step in range(1, 8):
        story.event("claimed", step, holder="a")
        story.after(3)
        story.event("completed", step, holder="a")
    story.end(rest=1)
    story.is_fine()


def test_nothing_is_stuck_while_a_fault_is_in_force(story: Story) -> None:
    number = story.recorder.fault_start("partition", "pod-1")
    story.recorder.fault_effect(number, refused=3)
    story.submit(2)
    story.end()
    story.is_fine()


def test_nothing_is_stuck_before_the_grace_is_over(story: Story) -> None:
    story.submit(2)
    with story.fault("partition"):
        story.read(2, "PENDING")
        story.after(60)
    story.end(rest=2)
    story.is_fine()


def test_a_killed_pod_need_not_come_back(story: Story) -> None:
    story.join("b")
    story.submit(1)
    story.event("claimed", 1, holder="b")
    number = story.recorder.fault_start("kill", "pod-0")
    story.recorder.fault_effect(number, gone=True)
    story.die("b")
    story.read(1, "CLAIMED")
    story.end()
    story.blames("nothing_stuck")


def test_what_looks_stuck_may_only_be_untold(story: Story) -> None:
    story.submit(2)
    story.journal()
    story.after(60)
    story.recorder.phase("teardown")
    story.doubts("nothing_stuck")


def test_a_moved_clock_moves_what_is_due(story: Story) -> None:
    with story.fault("clock_jump"):
        story.submit(2, run_at=WALL + 101)
    story.end()
    story.doubts("nothing_stuck")


def test_what_came_of_steps_nobody_recorded_is_not_known(story: Story) -> None:
    story.recorder.unrecorded("a program")
    story.event("submitted", 2)
    story.end()
    story.is_fine()


def test_only_the_last_teardown_ends_a_history(story: Story) -> None:
    """Tests that share a cluster share its history."""
    story.submit(2)
    story.end(rest=1)
    story.is_fine()
    story.after(60)
    story.end()
    story.blames("nothing_stuck")
