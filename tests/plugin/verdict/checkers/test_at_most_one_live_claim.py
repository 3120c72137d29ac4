"""Two holders at once."""

from tests.plugin.verdict.story import Story


def two_holders(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.event("claimed", 1, holder="b")
    story.event("completed", 1)


def test_two_holders_at_once(story: Story) -> None:
    two_holders(story)
    story.blames("at_most_one_live_claim")


def test_a_claim_taken_from_the_living(story: Story) -> None:
    story.join("a")
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.event("recovered", 1, holder="a")
    story.event("claimed", 1, holder="b")
    story.event("completed", 1)
    story.blames("at_most_one_live_claim")


def test_a_step_buried_as_crashed_though_its_holder_lives(story: Story) -> None:
    story.join("a")
    for holder in ("x", "y"):
        story.join(holder)
    story.submit(1)
    for holder in ("x", "y"):
        story.event("claimed", 1, holder=holder)
        story.die(holder)
        story.event("recovered", 1, holder=holder)
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a", cause="crashed")
    story.blames("at_most_one_live_claim")


def test_a_holder_whose_beginning_nobody_saw_may_be_dead(story: Story) -> None:
    story.submit(1)
    story.event("claimed", 1, holder="a")
    story.event("recovered", 1, holder="a")
    story.is_fine()


def test_a_finding_names_the_step_and_the_lines_that_show_it(story: Story) -> None:
    two_holders(story)
    (finding,) = story.judged()["at_most_one_live_claim"].findings
    assert finding.step == 1
    lines = story.path.read_text().splitlines()
    shown = [lines[number - 1] for number in finding.lines]
    assert ['"holder":"a"' in shown[0], '"holder":"b"' in shown[1]] == [True, True]
    assert str(finding) == "step 1 was claimed by b while a held it (line 5, 6)"
