"""What pods promise holds over PostgreSQL too: the same tests, over another store."""

from tests.cluster.test_claims import (
    test_a_heartbeat_tells_how_each_claim_stands,
    test_a_long_poll_wakes_for_what_another_pod_took_in,
    test_a_repeated_claim_gives_the_same_claims_at_any_pod,
    test_a_silent_worker_loses_its_claims,
    test_a_worker_gone_while_it_waits_strands_nothing,
)
from tests.cluster.test_recovery import (
    test_a_killed_followers_steps_run_elsewhere_under_the_same_leader,
    test_a_killed_leaders_steps_run_elsewhere_under_a_new_leader,
    test_a_pod_killed_right_after_its_start_is_noticed_too,
    test_a_pod_that_dies_in_the_middle_of_things_loses_nothing,
)

__all__ = [
    "test_a_heartbeat_tells_how_each_claim_stands",
    "test_a_killed_followers_steps_run_elsewhere_under_the_same_leader",
    "test_a_killed_leaders_steps_run_elsewhere_under_a_new_leader",
    "test_a_long_poll_wakes_for_what_another_pod_took_in",
    "test_a_pod_killed_right_after_its_start_is_noticed_too",
    "test_a_pod_that_dies_in_the_middle_of_things_loses_nothing",
    "test_a_repeated_claim_gives_the_same_claims_at_any_pod",
    "test_a_silent_worker_loses_its_claims",
    "test_a_worker_gone_while_it_waits_strands_nothing",
]
