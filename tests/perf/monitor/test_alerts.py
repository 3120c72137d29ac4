"""When a value is worth an alert, and rates from counters."""

import pytest

from fleetq_server.model import Counts
from pytest_fleetq.perf.monitor.alerts import Alerts, Limits
from pytest_fleetq.perf.monitor.counting import Counting
from pytest_fleetq.perf.monitor.model import Look, PodLook, QueueLook, SystemLook

CALM = SystemLook(1.0, 1.0, 1.0)


def look(cpu: float) -> Look:
    return Look(0.0, 0.0, CALM, (PodLook("pod-0", 1, cpu, 10.0, 5, 9, 0),))


def told(alerts: Alerts, *values: float) -> list[list[str]]:
    return [list(map(str, alerts.look(look(value)))) for value in values]


def test_one_peak_is_no_alert() -> None:
    assert told(Alerts(Limits()), 99, 10, 99, 10) == [[], [], [], []]


def test_a_value_that_stays_above_is_told_of_once_and_again_when_it_ends() -> None:
    alerts = Alerts(Limits())
    raised = told(alerts, 99, 99, 99, 99)
    assert raised == [[], ["CPU of pod-0 is above 80 %: 99 %"], [], []]
    assert (alerts.standing, alerts.raised) == (["CPU of pod-0"], 1)
    assert told(alerts, 20, 20, 20) == [[], ["CPU of pod-0 is back below 80 %: 20 %"], []]
    assert (alerts.standing, alerts.raised) == ([], 1)


def test_a_value_that_trembles_around_its_limit_is_told_of_once() -> None:
    alerts = Alerts(Limits())
    trembling = told(alerts, *[81, 81, 79, 78] * 5)
    assert sum(map(len, trembling)) == 1


@pytest.mark.parametrize(
    ("system", "queues", "what"),
    [
        (SystemLook(81, 1, 1), None, "CPU of the system"),
        (SystemLook(1, 91, 1), None, "memory of the system"),
        (SystemLook(1, 1, 91), None, "disk"),
        (CALM, QueueLook(0, 1001, 0, 0, 0, 0, 0, None), "backlog"),
        (CALM, QueueLook(0, 0, 0, 0, 0, 0, 0, 10.1), "failure rate"),
    ],
)
def test_every_limit_of_the_guide_is_the_default(
    system: SystemLook, queues: QueueLook | None, what: str
) -> None:
    alerts = Alerts(Limits())
    seen = Look(0.0, 0.0, system, (), queues)
    assert alerts.look(seen) == []
    assert [alert.what for alert in alerts.look(seen)] == [what]


def test_rates_are_differences_over_time() -> None:
    counting = Counting()
    first = counting.look(10.0, Counts(submitted=5, completed=3))
    assert (first.submitted_per_second, first.failure_percent) == (0.0, None)
    second = counting.look(12.0, Counts(submitted=25, completed=9, pruned=4, failed=10))
    assert (second.submitted_per_second, second.completed_per_second) == (10.0, 5.0)
    assert second.failure_percent == pytest.approx(50.0)


def test_few_steps_make_no_rate_of_failure_until_there_are_enough() -> None:
    counting = Counting()
    counting.look(0.0, Counts())
    assert counting.look(1.0, Counts(failed=5)).failure_percent is None
    assert counting.look(2.0, Counts(failed=6, completed=4)).failure_percent == pytest.approx(60)
    assert counting.look(3.0, Counts(failed=6, completed=5)).failure_percent == pytest.approx(60)
