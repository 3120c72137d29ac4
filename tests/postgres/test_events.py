"""What readers may see of the journal while others write it."""

import psycopg

from tests.store.driver import Driver

WRITE = "SELECT write_events('{1}', '{paused}', '{q}', '{NULL}', '{NULL}', '{NULL}', '{NULL}')"


def test_a_write_under_way_hides_itself_and_nothing_that_was_told_before(url: str) -> None:
    fleet = Driver(url)
    fleet.join("pod")
    before = fleet.events()
    assert [event.type for event in before] == ["pod_joined"]
    with psycopg.connect(url) as other:
        other.execute(WRITE)
        fleet.join("another pod")
        assert fleet.events() == before
        assert fleet.reader.events(-1, 1) == before[-1:]
        other.commit()
    told = ["pod_joined", "paused", "pod_joined"]
    assert [event.type for event in fleet.events()] == told
    fleet.close()
