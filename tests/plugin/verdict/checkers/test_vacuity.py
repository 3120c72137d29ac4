"""Tests that prove nothing."""

from tests.plugin.verdict.story import Story


def test_a_fault_that_work_survived(story: Story) -> None:
    with story.fault():
        story.life(1)
    story.journal()
    story.is_fine()


def test_a_fault_that_steps_survived_while_their_client_only_waited(story: Story) -> None:
    story.submit(1)
    with story.fault():
        story.event("claimed", 1, holder="a")
    story.journal()
    story.is_fine()


def test_the_fleet_alone_survives_a_kill(story: Story) -> None:
    story.join("a")
    with story.fault("kill"):
        story.die("a")
        story.event("leader", holder="b", term=2)
    story.journal()
    story.is_fine()


def test_a_kill_is_in_force_also_when_it_is_healed(story: Story) -> None:
    for name in ("kill", "pause"):
        with story.fault(name):
            story.die("a")
    story.life(1)
    story.is_fine()


def test_a_fault_when_all_was_over(story: Story) -> None:
    story.life(1)
    with story.fault():
        story.event("leader", holder="a", term=1)
    story.blames("vacuity")


def test_a_fault_under_which_only_the_harness_stirred(story: Story) -> None:
    story.life(1)
    with story.fault():
        story.operation("audit", "harness", steps=[], all=True)
        story.journal()
    story.blames("vacuity")


def test_a_fault_without_effect(story: Story) -> None:
    with story.fault(proof=False):
        story.life(1)
    story.blames("vacuity")


def test_a_test_in_which_nothing_worked(story: Story) -> None:
    for _ in range(3):
        story.recorder.info(story.recorder.invoke("client", "submit", {"count": 1}), "nobody")
    story.journal()
    story.blames("vacuity")
    (finding,) = story.judged()["vacuity"].findings
    assert finding.problem == "not one of 3 operations succeeded"
