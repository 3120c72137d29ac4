import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server import failpoints
from fleetq_server.errors import ConfigError

NAME = "store.before_commit"


def test_nothing_happens_unless_armed() -> None:
    for name in failpoints.NAMES:
        failpoints.hit(name)


def test_an_armed_point_acts_and_the_others_do_not() -> None:
    failpoints.arm(f"{NAME}=raise")
    failpoints.hit("store.after_commit")
    for _ in range(2):
        with pytest.raises(OSError, match=NAME):
            failpoints.hit(NAME)
    failpoints.disarm()
    failpoints.hit(NAME)


def test_the_nth_hit_only() -> None:
    failpoints.arm(f" {NAME}=raise@3 , pod.ready=delay:0 ")
    failpoints.hit("pod.ready")
    failpoints.hit(NAME)
    failpoints.hit(NAME)
    with pytest.raises(OSError, match=NAME):
        failpoints.hit(NAME)
    failpoints.hit(NAME)


def test_a_point_that_stays_armed_goes_on_counting_when_others_change() -> None:
    failpoints.arm_only({"one": f"{NAME}=raise@2", "two": "pod.ready=raise"})
    failpoints.hit(NAME)
    failpoints.arm_only({"one": f"{NAME}=raise@2", "three": "leader.elected=raise"})
    failpoints.hit("pod.ready")
    with pytest.raises(OSError, match=NAME):
        failpoints.hit(NAME)
    failpoints.arm_only({"four": f"{NAME}=raise@2"})
    failpoints.hit(NAME)
    with pytest.raises(OSError, match=NAME):
        failpoints.hit(NAME)
    with pytest.raises(ConfigError, match="nonsense"):
        failpoints.arm_only({"five": "nonsense"})
    failpoints.disarm()


def test_delay_blocks_for_the_given_seconds() -> None:
    failpoints.arm("pod.ready=delay:0.02")
    before = time.monotonic()
    failpoints.hit("pod.ready")
    assert time.monotonic() - before >= 0.02


@pytest.mark.parametrize(
    ("action", "status"), [("kill", -signal.SIGKILL), ("exit", 70), ("exit@1", 70), ("exit@2", 0)]
)
def test_a_process_dies_where_it_was_told_to(action: str, status: int) -> None:
    assert _run(f"{NAME}={action}").wait() == status


def test_a_process_stops_where_it_was_told_to_and_goes_on_when_continued() -> None:
    process = _run(f"{NAME}=stop")
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.wait() == 0
    finally:
        process.kill()
        process.wait()


def test_no_thread_runs_on_past_the_point_where_it_stops() -> None:
    """Sent to the process, the signal goes to the main thread, and the other runs on meanwhile."""
    code = f"""
        import threading
        from fleetq_server import failpoints

        def stop():
            failpoints.hit({NAME!r})
            print("ran on", flush=True)

        failpoints.arm("{NAME}=stop")
        threading.Thread(target=stop).start()
    """
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE
        ) as process:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            process.kill()
            assert process.communicate()[0] == b""


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("nowhere=kill", "no failpoint 'nowhere'"),
        (f"{NAME}=explode", "no action 'explode'"),
        (f"{NAME}=delay", "no action 'delay'"),
        (f"{NAME}=delay:-1", "no action 'delay:-1'"),
        (f"{NAME}=kill:now", "no action 'kill:now'"),
        (f"{NAME}=kill@0", "counted from 1"),
        (NAME, "not of the form"),
        (f"{NAME}=kill@x", "not of the form"),
    ],
)
def test_an_unreadable_spec_is_refused_and_arms_nothing(spec: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        failpoints.arm(f"pod.ready=raise,{spec}")
    failpoints.hit("pod.ready")


@given(st.text())
def test_any_text_is_either_understood_or_a_config_error(spec: str) -> None:
    with contextlib.suppress(ConfigError):
        failpoints.arm(spec)
    failpoints.disarm()


def test_an_unarmed_hit_costs_next_to_nothing() -> None:
    hits = 20_000
    best = min(timeit.repeat(lambda: failpoints.hit(NAME), number=hits, repeat=5)) / hits
    assert best < 2e-6, f"{best * 1e9:.0f} ns a hit"


def _run(spec: str) -> "subprocess.Popen[bytes]":
    code = (
        f"from fleetq_server import failpoints; failpoints.arm({spec!r}); failpoints.hit({NAME!r})"
    )
    return subprocess.Popen([sys.executable, "-c", code])
