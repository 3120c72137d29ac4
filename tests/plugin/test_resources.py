"""`requires_resources`."""

import os

from tests.plugin.conftest import Run


def test_what_the_machine_lacks_is_a_skip_with_the_reason(run: Run) -> None:
    source = """
    import pytest

    @pytest.mark.requires_resources(cpus=5000)
    def test_processors(): assert False

    @pytest.mark.requires_resources(memory="5000TB")
    def test_memory(): assert False

    @pytest.mark.requires_resources(disk="5000TB")
    def test_disk(): assert False

    @pytest.mark.requires_resources(programs=["no-such-program"])
    def test_program(): assert False
    """
    result = run(source, "-rs")
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines_random(
        [
            "*needs 5000 processors, and there is *",
            "*needs 5000 TiB of memory, and there is *",
            "*needs the program no-such-program, which is not installed*",
        ]
    )


def test_heavy_tests_do_not_run_side_by_side_under_xdist(run: Run) -> None:
    processors = len(os.sched_getaffinity(0))
    source = f"""
    import fcntl, os, time
    import pytest

    @pytest.mark.parametrize("n", range(6))
    @pytest.mark.requires_resources(cpus={processors})
    def test_alone(n):
        with open("here", "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody else is in here
            time.sleep(0.05)
    """
    run(source, "-n", "2").assert_outcomes(passed=6)
