"""Who hears of a pod that joins: the leader, at once; and nobody else, lest a fleet of n pods costs
n² writes to start."""

from tests.cluster.fleet import Pod, Pods, until

# Far longer than anything here takes: nobody looks around by themselves meanwhile.
SLOW = {"heartbeat_interval_seconds": 12, "dead_pod_threshold_seconds": 60}


def test_a_pod_that_dies_as_soon_as_it_is_ready_is_missed_at_once(pods: Pods) -> None:
    pods.await_leader(pods.start("", **SLOW))
    victim = pods.start("", **SLOW)
    victim.kill()
    assert pods.await_event("pod_dead", within=5).holder == victim.id


def test_pods_that_do_not_lead_write_nothing_when_others_join(pods: Pods) -> None:
    leader = pods.start("", **SLOW)
    pods.await_leader(leader)
    bystander = pods.start("", **SLOW)
    before = pods.holder_of(bystander).beats
    for _ in range(2):  # beside the leader's second beat the bystander's first would have its time
        told = pods.holder_of(leader).beats
        pods.start("", **SLOW)
        await_more_beats(pods, leader, told)
    assert pods.holder_of(bystander).beats == before


def await_more_beats(pods: Pods, pod: Pod, than: int) -> None:
    until(lambda: pods.holder_of(pod).beats > than, "a pod beats")
