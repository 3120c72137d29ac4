"""Who led when."""

from tests.plugin.verdict.story import Story


def test_a_leader_that_dies_is_followed_by_another(story: Story) -> None:
    story.join("a")
    story.event("leader", holder="a", term=1)
    with story.fault("kill"):
        story.die("a")
        story.event("leader", holder="b", term=2)
    story.operation("leader", term=2, holder="b")
    story.operation("leader", term=2, holder=None)
    story.is_fine()


def test_two_leaders_in_one_term(story: Story) -> None:
    story.event("leader", holder="a", term=1)
    story.event("leader", holder="b", term=1)
    story.blames("one_leader_per_term")


def test_a_client_that_is_told_of_another_leader(story: Story) -> None:
    story.event("leader", holder="a", term=1)
    story.operation("leader", term=1, holder="b")
    story.blames("one_leader_per_term")


def test_a_term_that_comes_back(story: Story) -> None:
    story.event("leader", holder="a", term=2)
    story.event("leader", holder="a", term=1)
    story.blames("one_leader_per_term")
