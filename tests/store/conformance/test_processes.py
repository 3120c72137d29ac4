"""Promises between processes, kept by real ones."""

import signal
from collections import Counter
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier

from fleetq_server.model import HolderKey, NewStep, StepId, StepState
from fleetq_server.store.base import Elect, Suspect
from tests.store.children import CONTEXT, PATIENCE, Say, child
from tests.store.driver import Driver, boot_id, ids


def submit_for_ever(say: Say, url: str) -> None:
    driver = Driver(url)
    while True:
        say(driver.submit(NewStep("a"), NewStep("b")))


def test_what_a_killed_process_acknowledged_is_there(fleet: Driver, url: str) -> None:
    with child(submit_for_ever, url) as victim:
        for _ in range(20):
            victim.hear()
        victim.kill()
        acknowledged = [step_id for group in victim.hear_out() for step_id in group]
    assert len(acknowledged) >= 40
    assert fleet.reader.unknown(acknowledged) == []
    unacknowledged = fleet.counts.submitted - len(acknowledged)
    assert unacknowledged in (0, 2), "at most one group was under way, and it is whole"


def claim_until_empty(say: Say, url: str, name: str, start: Barrier) -> None:
    driver = Driver(url, seed=ord(name))
    me = driver.join(name)
    start.wait(PATIENCE)
    while claims := driver.claim(me, 7):
        say(ids(claims))
        driver.complete(*claims)
    driver.close()


def test_processes_racing_for_steps_never_share_one(fleet: Driver, url: str) -> None:
    step_ids = fleet.submit(*[NewStep("a")] * 300)
    with ExitStack() as stack:
        start = CONTEXT.Barrier(3)
        racers = [
            stack.enter_context(child(claim_until_empty, url, name, start))
            for name in ("x", "y", "z")
        ]
        claimed = [step_id for racer in racers for group in racer.hear_out() for step_id in group]
    assert sorted(claimed) == step_ids
    assert fleet.counts.completed == 300


def test_a_killed_claimers_steps_run_once_more_and_count_once(
    fleet: Driver, url: str, pod: HolderKey
) -> None:
    step_ids = fleet.submit(*[NewStep("a")] * 50)
    term = fleet.lead(pod)
    with child(claim_and_hang, url) as victim:
        held: list[StepId] = victim.hear()
        victim.kill()
    assert fleet.kill(pod, term, fleet.holder("victim").key) == len(held) == 10
    fleet.complete(*fleet.claim(pod, 50))
    assert {fleet.state(step_id) for step_id in step_ids} == {StepState.COMPLETED}
    assert {fleet.step(step_id).attempt for step_id in held} == {2}


def claim_and_hang(say: Say, url: str) -> None:
    driver = Driver(url)
    me = driver.join("victim")
    say(ids(driver.claim(me, 10)))
    signal.pause()


def usurp(say: Say, url: str, mine: list[str], start: Barrier) -> None:
    """Every one of `mine` in turn believes that all its elders are dead."""
    driver = Driver(url)
    start.wait(PATIENCE)
    for name in mine:
        me = driver.holder(name)
        elders = tuple(Suspect(h.key) for h in driver.reader.holders() if h.born_at < me.born_at)
        seen = driver.reader.leadership().term
        after = driver.do(Elect(me.key, seen, elders))
        if after.holder_id == me.holder_id:
            say(after.term)
    driver.close()


def test_a_term_has_one_leader_however_many_race_for_it(fleet: Driver, url: str) -> None:
    names = [f"pod{number:02}" for number in range(24)]
    for name in names:
        fleet.join(name)
        fleet.later(1)
    with ExitStack() as stack:
        start = CONTEXT.Barrier(2)
        racers = [
            stack.enter_context(child(usurp, url, names[first::2], start)) for first in (0, 1)
        ]
        won = Counter(term for racer in racers for term in racer.hear_out())
    assert won, "somebody was elected"
    assert set(won.values()) == {1}
    leaders = {event.term or 0: event.holder for event in fleet.events("leader")}
    assert sorted(leaders) == list(range(1, max(won) + 1))
    assert len(fleet.events("leader")) == len(leaders)
    last = max(leaders)
    assert fleet.reader.leadership().holder_id == leaders[last]
    assert fleet.reader.leadership().holder_id != boot_id(names[0]) or last == 1
