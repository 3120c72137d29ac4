"""Each checker against histories made by hand: what it must not blame, and what only it blames."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_fleetq.verdict import Context, Verdict
from tests.plugin.verdict.story import WALL, Story

Tale = Callable[[Story], None]
GOOD: list[Tale] = []
BAD: list[tuple[str, Tale]] = []
POLICY = {"max_attempts": 2, "initial_delay": 1.0, "jitter": 0.1}


def good(tale: Tale) -> Tale:
    GOOD.append(tale)
    return tale


def only(checker: str) -> Callable[[Tale], Tale]:
    def add(tale: Tale) -> Tale:
        BAD.append((checker, tale))
        return tale

    return add


def _name(value: object) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", "")


@pytest.mark.parametrize("tale", GOOD, ids=_name)
def test_what_is_right_is_not_blamed(story: Story, tale: Tale) -> None:
    tale(story)
    judged = story.judged()
    assert judged.verdict is Verdict.PASS, judged.describe()


@pytest.mark.parametrize(("checker", "tale"), BAD, ids=_name)
def test_only_one_checker_blames(story: Story, checker: str, tale: Tale) -> None:
    tale(story)
    judged = story.judged()
    assert story.blamed() == {checker}, judged.describe()
    assert all(finding.problem for finding in judged[checker].findings)


def test_every_checker_has_a_history_that_only_it_blames() -> None:
    from pytest_fleetq.verdict import DEFAULT_CHECKERS

    own_tests = {"log_patterns"}
    assert {name for name, _ in BAD} | own_tests == {one.name for one in DEFAULT_CHECKERS}


# --- good ---


@good
def nothing_at_all(_story: Story) -> None:
    pass


@good
def an_ordinary_life(s: Story) -> None:
    for step in range(1, 20):
        s.life(step, fence=step)
    s.journal()


@good
def a_fault_that_work_survived(s: Story) -> None:
    with s.fault():
        s.life(1)


@good
def the_fleet_alone_survives_a_kill(s: Story) -> None:
    s.event("pod_joined", holder="a")
    s.event("leader", holder="a", term=1)
    with s.fault("kill"):
        s.event("pod_dead", holder="a")
        s.event("leader", holder="b", term=2)


@good
def a_submit_of_unknown_outcome_may_have_made_its_steps(s: Story) -> None:
    s.life(1)
    s.recorder.info(s.recorder.invoke("client", "submit", {"count": 2}), "DeadlineExceeded")
    s.event("submitted", 2, 3)
    s.recorder.invoke("client", "submit", {"count": 1})
    s.event("submitted", 4)
    s.journal()


@good
def a_submit_of_unknown_outcome_may_have_made_none(s: Story) -> None:
    s.life(1)
    s.recorder.invoke("client", "submit", {"count": 2})
    s.journal()


@good
def a_crash_and_a_recovery(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.event("pod_dead", holder="a")
    s.event("recovered", 1, holder="a")
    s.claim(1, "b", 22)
    s.write("complete", 1, "b", 22)
    s.event("completed", 1)
    s.journal()


@good
def a_late_write_that_was_refused(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.event("pod_dead", holder="a")
    s.event("recovered", 1, holder="a")
    s.claim(1, "b", 22)
    s.write("complete", 1, "a", 11, verdict="superseded")
    s.write("complete", 1, "b", 22)
    s.event("completed", 1)
    s.journal()


@good
def a_repeated_failure_is_answered_as_the_first(s: Story) -> None:
    s.submit(1, retry={**POLICY, "initial_delay": 0.0})
    s.claim(1, "a", 11)
    s.write("fail", 1, "a", 11, cause="handler_error", error="ValueError")
    s.event("retrying", 1, holder="a")
    s.claim(1, "b", 22)
    s.write("fail", 1, "a", 11, cause="handler_error", error="ValueError")
    s.write("complete", 1, "b", 22)
    s.event("completed", 1)
    s.journal()


@good
def a_repeat_of_a_write_whose_first_answer_was_lost(s: Story) -> None:
    s.submit(1, retry={**POLICY, "initial_delay": 0.0})
    s.claim(1, "a", 11)
    item = {"step_id": 1, "fence": 11, "cause": "handler_error", "error": "ValueError"}
    s.recorder.invoke("a", "fail", {"holder": "a", "items": [item]})
    s.event("retrying", 1, holder="a")
    s.claim(1, "b", 22)
    s.write("fail", 1, "a", 11, cause="handler_error", error="ValueError")


@good
def a_worker_that_claims_its_own_step_again_after_the_timeout(s: Story) -> None:
    s.submit(1, retry={**POLICY, "initial_delay": 0.0})
    s.claim(1, "a", 11)
    s.event("retrying", 1, holder="a")
    s.claim(1, "a", 22)
    s.write("complete", 1, "a", 22)
    s.event("completed", 1)
    s.journal()


@good
def a_write_of_unknown_outcome_that_does_not_tell_its_steps(s: Story) -> None:
    s.submit(1, retry=POLICY)
    s.claim(1, "a", 11)
    s.recorder.info(s.recorder.invoke("a", "fail", {"count": 1}), "DeadlineExceeded")
    s.event("retrying", 1, holder="a")
    s.claim(1, "b", 22)
    s.write("fail", 1, "a", 11, cause="handler_error", error="ValueError", retry_delay=0.0)


@good
def a_journal_that_is_read_in_parts(s: Story) -> None:
    s.life(1)
    s.operation("journal", after=0, through=3)
    s.life(2, fence=2)
    s.operation("journal", after=3, through=6)


@good
def a_release_and_another_claim(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.write("release", 1, "a", 11)
    s.event("released", 1)
    s.claim(1, "a", 22)
    s.write("complete", 1, "a", 22)
    s.event("completed", 1)
    s.journal()


@good
def retries_up_to_the_limit_and_the_dlq(s: Story) -> None:
    s.submit(1, retry=POLICY)
    s.claim(1, "a", 11)
    s.write("fail", 1, "a", 11, cause="handler_error", error="ValueError")
    s.event("retrying", 1, holder="a")
    s.after(0.95)
    s.claim(1, "a", 22)
    s.write("fail", 1, "a", 22, cause="handler_error", error="ValueError")
    s.event("dead", 1, holder="a")
    s.operation("dead", steps=[{"step_id": 1, "cause": "handler_error"}], all=True)
    s.read(1, "FAILED", cause="handler_error")
    s.journal()


@good
def a_delay_that_the_holder_chose(s: Story) -> None:
    s.submit(1, retry=POLICY)
    s.claim(1, "a", 11)
    s.write("fail", 1, "a", 11, cause="handler_error", error="Busy", retry_delay=0.1)
    s.event("retrying", 1, holder="a")
    s.after(0.1)
    s.claim(1, "a", 22)


@good
def three_crashes_and_the_dlq(s: Story) -> None:
    s.submit(1)
    for holder in "ab":
        s.event("claimed", 1, holder=holder)
        s.event("pod_dead", holder=holder)
        s.event("recovered", 1, holder=holder)
    s.event("claimed", 1, holder="c")
    s.event("pod_dead", holder="c")
    s.event("dead", 1, holder="c")
    s.operation("dead", steps=[{"step_id": 1, "cause": "crashed"}], all=True)
    s.journal()


@good
def an_error_that_is_never_retried(s: Story) -> None:
    s.submit(1, retry={**POLICY, "non_retryable": ["Poison"]})
    s.claim(1, "a", 11)
    s.write("fail", 1, "a", 11, cause="handler_error", error="Poison")
    s.event("dead", 1, holder="a")
    s.submit(2)
    s.claim(2, "a", 12)
    s.write("fail", 2, "a", 12, cause="handler_error", error="Other", retryable=False)
    s.event("dead", 2, holder="a")
    s.journal()


@good
def a_redrive_and_a_second_life(s: Story) -> None:
    s.submit(1, retry={**POLICY, "max_attempts": 1})
    s.event("claimed", 1, holder="a")
    s.event("dead", 1, holder="a")
    s.read(1, "FAILED")
    s.event("redriven", 1)
    s.operation("dead", steps=[], all=True)
    s.event("claimed", 1, holder="a")
    s.event("completed", 1)
    s.read(1, "COMPLETED")
    s.journal()


@good
def steps_that_wait_for_a_reason(s: Story) -> None:
    s.event("pod_joined", holder="a")
    s.life(1)
    s.submit(2, run_at=WALL + 5000)
    s.submit(3, retry={**POLICY, "initial_delay": 1000.0})
    s.event("claimed", 3, holder="a")
    s.event("retrying", 3, holder="a")
    s.operation("submit", kind="work", queue="slow", count=1, step_ids=[4])
    s.event("submitted", 4, queue="slow")
    s.event("paused", queue="slow")
    s.submit(5, kind="nobody runs this")
    s.submit(6)
    s.event("claimed", 6, holder="a")
    s.after(60)
    s.recorder.note("the end")


@good
def a_backlog_that_is_being_worked_on(s: Story) -> None:
    s.event("pod_joined", holder="a")
    s.submit(*range(1, 10))
    for step in range(1, 8):
        s.event("claimed", step, holder="a")
        s.after(3)
        s.event("completed", step)


@good
def events_that_came_late_and_twice(s: Story) -> None:
    s.operation("submit", kind="work", count=1, step_ids=[1])
    s.event("claimed", 1, holder="a", seq=2)
    s.event("submitted", 1, seq=1)
    s.event("claimed", 1, holder="a", seq=2)
    s.event("completed", 1, seq=3)
    s.event("completed", 1, seq=3)
    s.journal()


@good
def a_listing_while_the_journal_lags(s: Story) -> None:
    s.submit(1, retry={**POLICY, "max_attempts": 1})
    s.event("claimed", 1, holder="a")
    s.operation("dead", steps=[{"step_id": 1, "cause": "handler_error"}], all=True)
    s.event("dead", 1, holder="a")
    s.journal()


@good
def a_cancel(s: Story) -> None:
    s.submit(1, 2)
    s.event("cancelled", 1)
    s.event("claimed", 2, holder="a")
    s.event("cancelled", 2, holder="a")
    s.read(1, "CANCELLED")
    s.read(1, "CANCELLED")
    s.journal()


@good
def a_read_that_began_before_the_end_and_came_back_after_it(s: Story) -> None:
    s.submit(1)
    early = s.recorder.invoke("slow", "get", {"step_ids": [1]})
    s.event("claimed", 1, holder="a")
    s.event("completed", 1)
    s.read(1, "COMPLETED")
    s.recorder.ok(early, "get", {"steps": [{"step_id": 1, "state": "CLAIMED"}]})


# --- bad, and who says so ---


@only("conservation")
def an_acknowledged_step_that_the_journal_never_got(s: Story) -> None:
    s.life(1)
    s.operation("submit", kind="work", count=1, step_ids=[2])
    s.journal()


@only("conservation")
def an_acknowledged_step_that_nobody_can_find(s: Story) -> None:
    s.life(1)
    s.operation("submit", kind="work", count=1, step_ids=[2])
    s.operation("get", missing=[2])


@only("conservation")
def an_accepted_completion_that_left_no_trace(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.write("complete", 1, "a", 11)
    s.journal()


@only("conservation")
def two_results(s: Story) -> None:
    s.life(1)
    s.event("completed", 1)


@only("conservation")
def a_step_that_came_from_nowhere(s: Story) -> None:
    s.life(1)
    s.recorder.fail(s.recorder.invoke("client", "submit", {"count": 1}), "Overloaded")
    s.event("submitted", 2)


@only("conservation")
def a_step_pruned_before_its_time(s: Story) -> None:
    s.submit(1)
    s.event("pruned", 1)


@only("conservation")
def a_step_submitted_twice(s: Story) -> None:
    s.submit(1)
    s.event("submitted", 1)


@only("at_most_one_live_claim")
def two_holders_at_once(s: Story) -> None:
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("claimed", 1, holder="b")
    s.event("completed", 1)


@only("at_most_one_live_claim")
def a_claim_taken_from_the_living(s: Story) -> None:
    s.event("pod_joined", holder="a")
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("recovered", 1, holder="a")
    s.event("claimed", 1, holder="b")
    s.event("completed", 1)


@only("no_superseded_write")
def a_completion_with_the_first_of_two_claims(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.event("pod_dead", holder="a")
    s.event("recovered", 1, holder="a")
    s.claim(1, "b", 22)
    s.write("complete", 1, "a", 11)
    s.event("completed", 1)
    s.journal()


@only("no_superseded_write")
def a_completion_by_a_remote_worker_after_its_recovery(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.event("pod_dead", holder="a")
    s.event("recovered", 1, holder="a")
    s.event("claimed", 1, holder="b")
    s.write("complete", 1, "a", 11)
    s.event("completed", 1)


@only("conservation")
def lost_in_a_journal_that_was_read_in_parts(s: Story) -> None:
    s.life(1)
    s.operation("journal", after=0, through=3)
    s.operation("submit", kind="work", count=1, step_ids=[2])
    s.operation("journal", after=3, through=3)


@only("no_superseded_write")
def a_completion_of_unnamed_holder_after_its_recovery(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.event("pod_dead", holder="a")
    s.event("recovered", 1, holder="a")
    s.event("claimed", 1, holder="b")
    s.write("complete", 1, "", 11)
    s.event("completed", 1)


@only("no_superseded_write")
def a_completion_with_the_fence_of_an_attempt_that_timed_out(s: Story) -> None:
    s.submit(1, retry={**POLICY, "initial_delay": 0.0})
    s.claim(1, "a", 11)
    s.event("retrying", 1, holder="a")
    s.claim(1, "a", 22)
    s.write("complete", 1, "a", 11)
    s.event("completed", 1)


@only("no_superseded_write")
def a_completion_after_the_recovery(s: Story) -> None:
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("pod_dead", holder="a")
    s.event("recovered", 1, holder="a")
    s.event("completed", 1)


@only("no_superseded_write")
def a_failure_by_somebody_else(s: Story) -> None:
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("retrying", 1, holder="b")


@only("one_leader_per_term")
def two_leaders_in_one_term(s: Story) -> None:
    s.event("leader", holder="a", term=1)
    s.event("leader", holder="b", term=1)


@only("one_leader_per_term")
def a_client_that_is_told_of_another_leader(s: Story) -> None:
    s.event("leader", holder="a", term=1)
    s.operation("leader", term=1, holder="b")


@only("one_leader_per_term")
def a_term_that_comes_back(s: Story) -> None:
    s.event("leader", holder="a", term=2)
    s.event("leader", holder="a", term=1)


@only("attempt_limits")
def one_attempt_too_many(s: Story) -> None:
    s.submit(1, retry={**POLICY, "initial_delay": 0.0})
    for _ in range(3):
        s.event("claimed", 1, holder="a")
        s.event("retrying", 1, holder="a")


@only("attempt_limits")
def one_crash_too_many(s: Story) -> None:
    s.submit(1)
    for holder in "abc":
        s.event("claimed", 1, holder=holder)
        s.event("pod_dead", holder=holder)
        s.event("recovered", 1, holder=holder)


@only("retry_delays")
def a_retry_in_haste(s: Story) -> None:
    s.submit(1, retry=POLICY)
    s.event("claimed", 1, holder="a")
    s.event("retrying", 1, holder="a")
    s.after(0.8)
    s.event("claimed", 1, holder="a")
    s.event("completed", 1)


@only("dlq_truth")
def buried_as_crashed_after_one_crash(s: Story) -> None:
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("pod_dead", holder="a")
    s.event("dead", 1, holder="a")
    s.operation("dead", steps=[{"step_id": 1, "cause": "crashed"}], all=True)


@only("dlq_truth")
def buried_before_its_last_attempt(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.write("fail", 1, "a", 11, cause="handler_error", error="ValueError")
    s.event("dead", 1, holder="a")


@only("dlq_truth")
def dead_and_not_in_the_dlq(s: Story) -> None:
    s.submit(1, retry={**POLICY, "max_attempts": 1})
    s.event("claimed", 1, holder="a")
    s.event("dead", 1, holder="a")
    s.operation("dead", steps=[], all=True)
    s.journal()


@only("dlq_truth")
def in_the_dlq_and_completed(s: Story) -> None:
    s.life(1)
    s.operation("dead", steps=[{"step_id": 1, "cause": "crashed"}], all=True)
    s.journal()


@only("dlq_truth")
def claimed_out_of_the_dlq(s: Story) -> None:
    s.submit(1, retry={**POLICY, "max_attempts": 1})
    s.event("claimed", 1, holder="a")
    s.event("dead", 1, holder="a")
    s.event("claimed", 1, holder="b")
    s.event("completed", 1)


@only("immutable_results")
def two_reads_that_differ(s: Story) -> None:
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("completed", 1)
    s.read(1, "COMPLETED", result="one")
    s.read(1, "COMPLETED", result="two")


@only("immutable_results")
def another_result_than_was_written(s: Story) -> None:
    s.submit(1)
    s.claim(1, "a", 11)
    s.write("complete", 1, "a", 11, result="one")
    s.event("completed", 1)
    s.read(1, "COMPLETED", result="two")


@only("immutable_results")
def back_from_the_end(s: Story) -> None:
    s.life(1)
    s.read(1, "PENDING")


@only("immutable_results")
def claimed_after_it_was_completed(s: Story) -> None:
    s.life(1)
    s.event("claimed", 1, holder="b")


@only("immutable_results")
def read_as_what_the_journal_does_not_know(s: Story) -> None:
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("completed", 1)
    s.read(1, "CANCELLED")
    s.journal()


@only("nothing_stuck")
def held_by_the_dead(s: Story) -> None:
    s.submit(1)
    s.event("claimed", 1, holder="a")
    s.event("pod_dead", holder="a")
    s.after(60)
    s.journal()
    s.recorder.phase("teardown")


@only("nothing_stuck")
def due_and_nobody_comes(s: Story) -> None:
    s.event("pod_joined", holder="a")
    s.life(1)
    with s.fault():
        s.submit(2)
    s.after(60)
    s.journal()
    s.recorder.phase("teardown")


@only("nothing_stuck")
def a_retry_that_never_comes(s: Story) -> None:
    s.event("pod_joined", holder="a")
    s.submit(1, retry=POLICY)
    s.event("claimed", 1, holder="a")
    s.event("retrying", 1, holder="a")
    s.after(60)
    s.journal()
    s.recorder.phase("teardown")


@only("vacuity")
def a_fault_when_all_was_over(s: Story) -> None:
    s.life(1)
    with s.fault():
        s.event("leader", holder="a", term=1)


@only("vacuity")
def a_fault_without_effect(s: Story) -> None:
    with s.fault(proof=False):
        s.life(1)


@only("vacuity")
def a_test_in_which_nothing_worked(s: Story) -> None:
    for _ in range(3):
        s.recorder.info(s.recorder.invoke("client", "submit", {"count": 1}), "Unavailable")


# --- what the tales cannot say ---


def test_a_moved_clock_makes_delays_undecidable(story: Story) -> None:
    with story.fault("clock_jump"):
        a_retry_in_haste(story)
    assert story.blamed() == set()
    assert story.blamed(verdict=Verdict.UNKNOWN) == {"retry_delays"}


def test_nothing_is_stuck_while_a_fault_is_in_force(story: Story) -> None:
    story.event("pod_joined", holder="a")
    story.life(1)
    number = story.recorder.fault_start("partition", "pod-1")
    story.recorder.fault_effect(number, refused=3)
    story.submit(2)
    story.after(60)
    story.recorder.phase("teardown")
    assert story.blamed() == set()
    story.recorder.fault_end(number)
    assert story.blamed() == set(), "the grace is not over"


def test_what_looks_stuck_may_only_be_untold(story: Story) -> None:
    story.event("pod_joined", holder="a")
    story.life(1)
    story.submit(2)
    story.journal()
    story.after(60)
    story.recorder.phase("teardown")
    assert story.blamed() == set()
    assert story.blamed(verdict=Verdict.UNKNOWN) == {"nothing_stuck"}


def test_a_redrive_may_be_untold_too(story: Story) -> None:
    story.submit(1, retry={**POLICY, "max_attempts": 1})
    story.event("claimed", 1, holder="a")
    story.event("dead", 1, holder="a")
    story.read(1, "FAILED")
    story.read(1, "PENDING")
    story.operation("dead", steps=[], all=True)
    assert story.blamed() == set()
    story.journal()
    assert story.blamed() == {"dlq_truth", "immutable_results"}


def test_a_killed_pod_need_not_come_back(story: Story) -> None:
    story.event("pod_joined", holder="a")
    story.event("pod_joined", holder="b")
    story.submit(1)
    story.event("claimed", 1, holder="a")
    number = story.recorder.fault_start("kill", "pod-0")
    story.recorder.fault_effect(number, gone=True)
    story.event("pod_dead", holder="a")
    story.read(1, "CLAIMED")
    story.after(60)
    story.journal()
    story.recorder.phase("teardown")
    assert story.blamed() == {"nothing_stuck"}


def test_a_history_without_a_journal_leaves_its_checkers_undecided(story: Story) -> None:
    story.operation("submit", kind="work", count=1, step_ids=[1])
    undecided = story.blamed(verdict=Verdict.UNKNOWN)
    assert undecided == {
        "at_most_one_live_claim", "attempt_limits", "dlq_truth", "nothing_stuck", "retry_delays",
    }  # fmt: skip
    assert story.blamed() == set()


def test_strangers_are_welcome_where_not_all_clients_are_recorded(story: Story) -> None:
    a_step_that_came_from_nowhere(story)
    assert story.blamed(Context(only_recorded_clients=False)) == set()


LOGGED = [
    "Traceback (most recent call last):",
    "thread 'main' panicked at src/main.rs:1:1:",
    "panic: runtime error: index out of range",
    "==1==ERROR: AddressSanitizer: heap-use-after-free",
    "WARNING: ThreadSanitizer: data race (pid=1)",
    "Fatal Python error: Segmentation fault",
    '{"level": "critical", "event": "store gone"}',
    '{"event": "boom", "exception": "Traceback (most recent call last):\\n  File …"}',
]


@pytest.mark.parametrize("line", LOGGED)
def test_a_bad_line_in_a_log_is_blamed(story: Story, tmp_path: Path, line: str) -> None:
    log = tmp_path / "pod-1.log"
    log.write_text(f"serving\n{line}\nserving\n")
    story.life(1)
    context = Context(logs={"pod-1": log})
    assert story.blamed(context) == {"log_patterns"}
    (finding,) = story.judged(context)["log_patterns"].findings
    assert "pod-1 logged, in line 2" in finding.problem


def test_expected_lines_and_own_patterns(story: Story, tmp_path: Path) -> None:
    log = tmp_path / "pod-1.log"
    log.write_text("Traceback (most recent call last): expected\nOUT OF CHEESE\n")
    logs = {"pod-1": log}
    ignoring = Context(logs=logs, ignored_log_patterns=["expected$"])
    assert story.blamed(ignoring) == set()
    assert story.blamed(Context(logs=logs, log_patterns=["CHEESE"])) == {"log_patterns"}


def test_a_log_that_cannot_be_read_is_no_proof(story: Story, tmp_path: Path) -> None:
    context = Context(logs={"pod-1": tmp_path / "missing.log"})
    assert story.blamed(context, Verdict.UNKNOWN) == {"log_patterns"}


def test_a_finding_names_the_step_and_the_lines_that_show_it(story: Story) -> None:
    two_holders_at_once(story)
    (finding,) = story.judged()["at_most_one_live_claim"].findings
    assert finding.step == 1
    lines = story.path.read_text().splitlines()
    shown = [lines[number - 1] for number in finding.lines]
    assert ['"holder":"a"' in shown[0], '"holder":"b"' in shown[1]] == [True, True]
    assert str(finding) == "step 1 was claimed by b while a held it (line 5, 6)"
