"""Counting: histograms, what of a transaction counts, and a store that does not answer."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.clock import ManualClock
from fleetq_server.config import Settings
from fleetq_server.core.reads import Reads
from fleetq_server.model import Claim, Fence, StepId, Verdict
from fleetq_server.observing import exposition
from fleetq_server.observing.histogram import Histogram
from fleetq_server.observing.look import Looker, Own
from fleetq_server.observing.measures import Measures
from fleetq_server.observing.observing import Observing
from fleetq_server.store.base import Applied
from fleetq_server.store.sqlite import SqliteStore

bounds = st.lists(st.integers(0, 50), min_size=1, unique=True).map(sorted)


def claim(attempt: int, waited: float) -> Claim:
    return Claim(
        StepId(1), Fence(1), "k", "q", b"", {}, None, attempt, 0, None, 100.0, 100.0 + waited
    )


@given(bounds, st.lists(st.integers(-3, 60)))
def test_a_bucket_counts_all_that_is_not_above_its_bound(
    edges: list[float], values: list[float]
) -> None:
    histogram = Histogram(edges)
    histogram.add_all(values[1:])
    values = [max(0, value) for value in values]
    for value in values[:1]:
        histogram.add(value)
    found = histogram.counted()
    expected = [sum(value <= edge for value in values) for edge in edges]
    assert found.cumulative == (*expected, len(values))
    assert found.total == sum(values)


def test_first_claims_count_however_they_were_asked_for() -> None:
    measures = Measures(ManualClock())
    asked_for = [claim(1, 0.3), claim(2, 50.0)]
    measures.committed(Applied(answers=[asked_for, [Verdict.OK] * 3, None], waited=0.02))
    assert measures.claim_latency().cumulative[-1] == 1
    assert measures.claim_latency().total == 100.3 - 100.0
    assert measures.commit_sizes().total == 2 + 3 + 1
    assert measures.gate_waits().total == 0.02


def test_a_clock_that_went_back_between_submit_and_claim_is_no_negative_time() -> None:
    measures = Measures(ManualClock())
    measures.committed(Applied(answers=[[claim(1, -5.0)]]))
    assert measures.claim_latency().total == 0
    assert measures.gate_waits().cumulative[-1] == 0  # a store without turns


def test_nobody_is_called_without_the_setting() -> None:
    assert Observing(Settings(), ManualClock()).ended is None


async def test_a_pod_without_its_store_still_tells_of_itself(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "fleet.db")
    reads, clock = Reads(store.reader()), ManualClock()
    reads.reader.close()
    own = Own("a" * 32, 'na"me\n', False, 3.5, 2, 8)
    look = await Looker(lambda: own, Measures(clock), reads, clock).look()
    text = exposition.response(look).body.decode()
    assert "fleetq_store_up 0.0" in text
    assert "fleetq_heartbeat_age_seconds 3.5" in text
    assert 'name="na\\"me\\n"' in text
    assert "fleetq_steps{" not in text
    store.close()
