"""What a pod tells of its fleet and of its own work, asked for by real HTTP."""

from http import HTTPStatus

from fleetq_server.model import RetryPolicy
from tests.cluster.fleet import Pods, until
from tests.observing.conftest import Scrape, ask, metrics_of

ANYWHERE = "127.0.0.1:0"
ONCE = RetryPolicy(max_attempts=1)


def of_all(scrapes: list[Scrape], name: str, **labels: str) -> float:
    return sum(scrape.value(name, **labels) for scrape in scrapes)


def test_counters_are_the_fleets_and_work_is_the_pods(pods: Pods) -> None:
    pod, other = pods.start(metrics=ANYWHERE), pods.start(metrics=ANYWHERE)
    pods.await_leader(pod)
    client = pods.client(pod)
    client.pause("later")
    held = client.submit_one("hold", pods.payload())
    pods.await_told("started", held)
    client.submit("note", [pods.payload()] * 5)
    client.submit("note", [pods.payload()], queue="later")
    until(lambda: pods.reader.stats().totals.completed == 5, "5 steps are completed")
    both = [Scrape(metrics_of(one)) for one in (pod, other)]
    for scrape in both:
        assert scrape.value("fleetq_store_up") == 1
        assert scrape.value("fleetq_live_pods") == 2
        assert scrape.value("fleetq_leader_term") == 1
        assert scrape.value("fleetq_steps", queue="default", state="completed") == 5
        assert scrape.value("fleetq_steps", queue="default", state="claimed") == 1
        assert scrape.value("fleetq_steps", queue="later", state="pending") == 1
        assert scrape.value("fleetq_submitted_steps_total", queue="default") == 6
        assert scrape.value("fleetq_queue_paused", queue="later") == 1
        assert scrape.value("fleetq_queue_paused", queue="default") == 0
        assert scrape.value("fleetq_wal_bytes") > 0
        commits = scrape.value("fleetq_group_commit_writes_count")
        assert scrape.value("fleetq_write_gate_wait_seconds_count") == commits > 0
    assert [scrape.value("fleetq_leader") for scrape in both] == [1, 0]
    assert of_all(both, "fleetq_running_steps") == 1
    assert of_all(both, "fleetq_claim_latency_seconds_count") == 6
    assert of_all(both, "fleetq_execution_seconds_count", outcome="completed") == 5


def test_the_dlq_is_told_by_cause_and_attempts_by_outcome(pods: Pods) -> None:
    pod = pods.start(metrics=ANYWHERE, shutdown_grace_seconds=0)
    client = pods.client(pod)
    client.submit("fail", [pods.payload()] * 2, retry=ONCE)
    slow = client.submit_one("hold", pods.payload(), attempt_timeout=0.01, retry=ONCE)
    again = RetryPolicy(max_attempts=2, initial_delay=0)
    client.submit_one("fail", pods.payload(succeed_at=2), retry=again)

    def dead() -> bool:
        return scrape().value("fleetq_dead_steps", cause="timeout") == 1

    def scrape() -> Scrape:
        return Scrape(metrics_of(pod))

    until(lambda: pods.reader.stats().totals.failed == 3, "3 steps are in the DLQ")
    pods.await_event("completed")
    until(dead, f"the DLQ tells of step {slow}")
    seen = scrape()
    assert seen.value("fleetq_dead_steps", cause="handler_error") == 2
    assert seen.value("fleetq_dead_steps", cause="crashed") == 0
    assert seen.value("fleetq_steps", queue="default", state="failed") == 3
    assert seen.value("fleetq_execution_seconds_count", outcome="failed") == 4
    assert seen.value("fleetq_execution_seconds_count", outcome="completed") == 1
    assert seen.value("fleetq_execution_seconds_sum", outcome="failed") >= 0.01
    assert seen.value("fleetq_claim_latency_seconds_count") == 4  # of the first attempts


def test_probes_tell_that_a_pod_drains_while_it_lives(pods: Pods) -> None:
    pod = pods.start(metrics=ANYWHERE, shutdown_grace_seconds=60)
    address = metrics_of(pod)
    held = pods.client(pod).submit_one("hold", pods.payload())
    pods.await_told("started", held)
    assert ask(address, "/readyz").status == HTTPStatus.OK
    pod.ask_to_end()
    until(lambda: ask(address, "/readyz").status == HTTPStatus.SERVICE_UNAVAILABLE, "not ready")
    assert ask(address, "/healthz").status == HTTPStatus.OK
    assert Scrape(address).value("fleetq_running_steps") == 1
    pods.go_on()
    assert pod.exit_status() == 0


def test_an_address_in_use_is_named(pods: Pods) -> None:
    taken = metrics_of(pods.start(metrics=ANYWHERE))
    second = pods.spawn(metrics=taken)
    assert second.exit_status() != 0
    assert f"metrics={taken}: in use" in second.tail()
