"""Who is here, who is dead, who leads."""

from collections.abc import Callable

import pytest

from fleetq_server.errors import LeaseLost, NotFound, NotLeader
from fleetq_server.model import HolderKey, HolderStatus, HolderType, NewHolder, NewStep, StepState
from fleetq_server.store.base import (
    Beat,
    Drain,
    Elect,
    ExpireAttempts,
    Leave,
    Op,
    Prune,
    Recover,
    Register,
    Resign,
    Suspect,
)
from tests.store.driver import START, Driver, boot_id, ids


def test_the_same_incarnation_registers_once(fleet: Driver, pod: HolderKey) -> None:
    fleet.later(10)
    assert fleet.join("pod") == pod
    assert fleet.holder("pod").born_at == START
    assert len(fleet.events("pod_joined")) == 1


def test_a_holder_is_told_apart_by_its_boot_id_alone(fleet: Driver) -> None:
    first = fleet.do(Register(NewHolder(boot_id("1"), HolderType.POD, "same name", pid=7)))
    second = fleet.do(Register(NewHolder(boot_id("2"), HolderType.POD, "same name", pid=7)))
    assert first != second


def test_a_beat_shows_that_a_holder_lives(fleet: Driver, pod: HolderKey) -> None:
    fleet.later(2.5)
    assert fleet.do(Beat(pod, running=3)).alive
    holder = fleet.holder("pod")
    assert (holder.beats, holder.beat_at, holder.running) == (1, START + 2.5, 3)


def test_a_beat_writes_one_row_whatever_is_held(fleet: Driver, pod: HolderKey) -> None:
    fleet.submit(*[NewStep("a")] * 50)
    fleet.claim(pod, 50)
    before = fleet.recorded()
    fleet.do(Beat(pod))
    after = fleet.recorded()
    assert {name for name in before if before[name] != after[name]} == {"holders"}


def test_a_draining_holder_learns_it_from_its_beat(fleet: Driver, pod: HolderKey) -> None:
    assert fleet.apply(Drain(boot_id("pod"))).cancelling == [boot_id("pod")]
    assert fleet.do(Beat(pod)).draining
    assert fleet.holder("pod").status is HolderStatus.DRAINING
    with pytest.raises(NotFound):
        fleet.do(Drain(boot_id("nobody")))


def test_whoever_leaves_gives_its_steps_back_unspent(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    step_id, cancelled = fleet.submit(NewStep("a"), NewStep("a"))
    fleet.claim(pod, 2)
    fleet.cancel(cancelled)
    fleet.do(Leave(pod))
    assert fleet.holder("pod").status is HolderStatus.GONE
    assert [fleet.state(one) for one in (step_id, cancelled)] == [
        StepState.PENDING,
        StepState.CANCELLED,
    ]
    assert fleet.claim_one(other).attempt == 1
    fleet.do(Leave(pod))
    with pytest.raises(NotFound):
        fleet.do(Drain(boot_id("pod")))


# --- death ---


@pytest.fixture
def dead(fleet: Driver, pod: HolderKey, other: HolderKey) -> HolderKey:
    fleet.submit(NewStep("a"))
    fleet.do(Elect(other, 0, (Suspect(pod),)))
    return pod


def test_the_dead_can_do_nothing_more(fleet: Driver, dead: HolderKey) -> None:
    assert not fleet.do(Beat(dead)).alive
    with pytest.raises(LeaseLost):
        fleet.claim(dead)
    with pytest.raises(LeaseLost):
        fleet.join("pod")
    fleet.do(Leave(dead))
    assert fleet.holder("pod").status is HolderStatus.DEAD
    with pytest.raises(NotFound):
        fleet.do(Drain(boot_id("pod")))
    assert fleet.counts.claimed == 0


def test_the_dead_stay_dead_after_they_are_forgotten(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    """A pod that was stopped for a week must not wake up as another one."""
    fleet.lead(pod)
    fleet.do(Elect(pod, 1, (Suspect(other),)))
    fleet.kill(pod, 2)
    fleet.later(1000)
    fleet.do(Beat(pod))
    fleet.do(Prune(pod, 2, fleet.now, fleet.now))
    assert [holder.name for holder in fleet.reader.holders(include_ended=True)] == ["pod"]
    newcomer = fleet.join("newcomer")
    assert newcomer != other
    assert not fleet.do(Beat(other)).alive


def test_a_suspect_that_has_beaten_since_is_spared(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    term = fleet.lead(pod)
    fleet.submit(NewStep("a"))
    fleet.claim_one(other)
    seen = fleet.holder("other").beats
    fleet.do(Beat(other))
    assert fleet.do(Recover(pod, term, (Suspect(other, seen),))) == 0
    assert fleet.do(Beat(other)).alive
    silent = fleet.holder("other").beats
    assert fleet.do(Recover(pod, term, (Suspect(other, silent),))) == 1
    assert not fleet.do(Beat(other)).alive


def test_a_proven_death_needs_no_silence(fleet: Driver, pod: HolderKey, other: HolderKey) -> None:
    term = fleet.lead(pod)
    fleet.do(Beat(other))
    fleet.kill(pod, term, other)
    assert fleet.holder("other").status is HolderStatus.DEAD
    assert len(fleet.events("pod_dead")) == 1
    fleet.kill(pod, term, other)
    assert len(fleet.events("pod_dead")) == 1, "nobody dies twice"


# --- leadership ---


def test_nobody_leads_at_first(fleet: Driver, pod: HolderKey) -> None:
    assert fleet.reader.leadership().term == 0
    assert fleet.reader.leadership().holder_id is None


def test_only_the_eldest_live_pod_is_elected(
    fleet: Driver, pod: HolderKey, other: HolderKey
) -> None:
    assert fleet.do(Elect(other, 0)).term == 0
    elected = fleet.do(Elect(pod, 0))
    assert (elected.term, elected.holder_id, elected.since) == (1, boot_id("pod"), fleet.now)
    assert fleet.reader.leadership() == elected


def test_of_pods_born_at_once_the_smaller_id_is_the_elder(fleet: Driver) -> None:
    b, a = fleet.join("b"), fleet.join("a")
    assert fleet.do(Elect(b, 0)).term == 0
    assert fleet.do(Elect(a, 0)).term == 1


def test_workers_never_lead(fleet: Driver) -> None:
    worker = fleet.join("worker", HolderType.WORKER)
    fleet.later(1)
    pod = fleet.join("pod")
    assert fleet.do(Elect(worker, 0)).term == 0
    assert fleet.do(Elect(pod, 0)).term == 1


@pytest.mark.parametrize("end", [Leave, Drain])
def test_the_next_eldest_leads_when_the_eldest_goes(
    fleet: Driver, pod: HolderKey, other: HolderKey, end: Callable[..., Op]
) -> None:
    fleet.lead(pod)
    fleet.do(end(pod if end is Leave else boot_id("pod")))
    assert fleet.do(Elect(other, 1)).holder_id == boot_id("other")


def test_a_term_is_won_once(fleet: Driver, pod: HolderKey, other: HolderKey) -> None:
    fleet.lead(pod)
    assert fleet.do(Elect(pod, 0)).term == 1
    taken = fleet.do(Elect(other, 1, (Suspect(pod),)))
    assert (taken.term, taken.holder_id) == (2, boot_id("other"))
    assert [event.term for event in fleet.events("leader")] == [1, 2]


def test_who_resigned_leads_no_more(fleet: Driver, pod: HolderKey, other: HolderKey) -> None:
    term = fleet.lead(pod)
    fleet.do(Resign(other, term))
    fleet.do(Resign(pod, term - 1))
    assert fleet.reader.leadership().holder_id == boot_id("pod")
    fleet.do(Resign(pod, term))
    assert (fleet.reader.leadership().term, fleet.reader.leadership().holder_id) == (1, None)
    with pytest.raises(NotLeader):
        fleet.do(Recover(pod, term))


@pytest.mark.parametrize(
    "act",
    [
        lambda holder, term, victim: Recover(holder, term, (Suspect(victim),)),
        lambda holder, term, victim: ExpireAttempts(holder, term),
        lambda holder, term, victim: Prune(holder, term, START * 2, START * 2),
    ],
)
def test_only_the_leader_of_the_term_acts_as_one(
    fleet: Driver, pod: HolderKey, other: HolderKey, act: Callable[..., Op]
) -> None:
    old = fleet.lead(pod)
    term: int = fleet.do(Elect(other, old, (Suspect(pod),))).term
    victim = fleet.join("victim")
    done, held = fleet.submit(NewStep("a", timeout=1), NewStep("a", timeout=1))
    claims = fleet.claim(victim, 2)
    fleet.complete(claims[0])
    assert ids(claims) == [done, held]
    fleet.later(100)
    before = fleet.recorded()
    for holder, claimed_term in ((pod, old), (pod, term), (other, old), (other, term + 1)):
        with pytest.raises(NotLeader):
            fleet.do(act(holder, claimed_term, victim))
    assert fleet.recorded() == before
    fleet.do(act(other, term, victim))
    assert fleet.recorded() != before
